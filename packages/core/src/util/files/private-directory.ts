import { chmod, lstat, mkdir, stat } from 'node:fs/promises';
import { QmpilotError } from '../../errors.js';

/**
 * Creates a folder that only this user may enter, or makes an existing one of this user so.
 * @throws {IO} when it belongs to another user or is not a folder, as its contents could not be trusted
 */
export async function ensurePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const info = await lstat(path);
  if (info.isDirectory() && info.uid === process.getuid?.()) {
    if ((info.mode & 0o077) !== 0) await chmod(path, 0o700);
    return;
  }
  throw new QmpilotError('IO', `${path} is not a folder of this user`, {
    hint: 'set QMPILOT_CACHE to another folder, or remove it',
  });
}

/** Returns whether a file or folder belongs to this user or root and no other user may change it. */
export async function isTrusted(path: string): Promise<boolean> {
  const info = await stat(path);
  return (info.uid === process.getuid?.() || info.uid === 0) && (info.mode & 0o022) === 0;
}
