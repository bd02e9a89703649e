import { chmod, lstat, mkdir, stat } from 'node:fs/promises';
import { QmpilotError } from '../errors.js';

/**
 * A folder for this user alone, made when it is not there. One of ours that others may enter is closed to them.
 * @throws {USAGE} when it is another user's, or no folder: what is in it could be anybody's
 */
export async function ensurePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const info = await lstat(path);
  if (info.isDirectory() && info.uid === process.getuid?.()) {
    if ((info.mode & 0o077) !== 0) await chmod(path, 0o700);
    return;
  }
  throw new QmpilotError('USAGE', `${path} is not a folder of this user`, {
    hint: 'name another folder by QMPILOT_CACHE, or remove it',
  });
}

/** What lies there is this user's or root's, and nobody else may change it: it can be run. */
export async function isTrusted(path: string): Promise<boolean> {
  const info = await stat(path);
  return (info.uid === process.getuid?.() || info.uid === 0) && (info.mode & 0o022) === 0;
}
