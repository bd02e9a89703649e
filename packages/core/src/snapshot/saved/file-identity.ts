import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

/** Identity of a file that a snapshot depends on. */
export interface FileIdentity {
  readonly path: string;
  readonly bytes: number;
  readonly mtimeMs: number;
  readonly sha256: string;
}

export async function identify(path: string): Promise<FileIdentity> {
  const { size, mtimeMs } = await stat(path);
  return { path, bytes: size, mtimeMs, sha256: await sha256(path) };
}

/** Returns how the file differs; undefined when it does not. The file is read only when nothing but its time stamp has changed. */
export async function differs(file: FileIdentity): Promise<string | undefined> {
  const now = await stat(file.path).catch(() => undefined);
  if (!now) return 'is not there';
  if (now.size !== file.bytes) return `has ${now.size} bytes instead of ${file.bytes}`;
  if (now.mtimeMs === file.mtimeMs) return undefined;
  return (await sha256(file.path)) === file.sha256 ? undefined : 'has different contents';
}

/** In the hexadecimal digits of sha256sum. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}
