import { ftruncateSync, fsyncSync, writeSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { QmpilotError } from '../errors.js';
import { isNoSpace } from '../util/files/host-error.js';

export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
}

/** Appends a line and syncs it, or leaves the file as it was. `size` is the file's size; returns the new one. */
export function appendLine(fd: number, line: string, size: number): number {
  const bytes = Buffer.from(`${line}\n`);
  try {
    writeAll(fd, bytes);
    fsyncSync(fd);
  } catch (error) {
    ftruncateSync(fd, size);
    throw error;
  }
  return size + bytes.length;
}

/**
 * Replaces a file of a run directory as a whole. Unlike that of `util/files`, its temporary file has a fixed name, which a new start
 * recognises and removes, and is never opened through a link.
 * @throws {NO_SPACE} {IO} when it cannot be written
 */
export async function replaceFile(dir: string, name: string, text: string): Promise<void> {
  const path = join(dir, name);
  try {
    await rm(`${path}.partial`, { force: true });
    await using file = await open(`${path}.partial`, 'wx', 0o600);
    await file.writeFile(text);
    await file.datasync();
    await rename(`${path}.partial`, path);
  } catch (cause) {
    throw cannotWrite(dir, cause);
  }
}

export function cannotWrite(path: string, cause: unknown): unknown {
  if (cause instanceof QmpilotError || !(cause instanceof Error)) return cause;
  const full = isNoSpace(cause);
  return new QmpilotError(full ? 'NO_SPACE' : 'IO', `cannot write ${path}: ${cause.message}`, {
    cause,
    hint: full
      ? 'make room there; the attempts that were finished are kept, and --resume continues with the run'
      : 'name another run directory by --out',
  });
}
