import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { hostError } from './host-error.js';

/** Reads `length` bytes at `position`; undefined where the file does not have them all. */
export type ReadAt = (position: number, length: number) => Buffer | undefined;

/**
 * Opens a regular file for reads at any position, for as long as `task` runs. Any other file is refused: opening a named pipe would
 * wait for its writer.
 * @throws {IO}
 */
export function withReadAt<T>(path: string, task: (read: ReadAt, size: number) => T): T {
  const { file, size } = open(path);
  try {
    return task((position, length) => {
      if (position < 0 || length < 0 || position + length > size) return undefined;
      const bytes = Buffer.allocUnsafe(length);
      try {
        return readSync(file, bytes, 0, length, position) === length ? bytes : undefined;
      } catch (cause) {
        throw hostError(`cannot read ${path}`, cause);
      }
    }, size);
  } finally {
    closeSync(file);
  }
}

function open(path: string): { readonly file: number; readonly size: number } {
  try {
    const stat = statSync(path);
    if (!stat.isFile()) throw new Error('it is not a regular file');
    return { file: openSync(path, 'r'), size: stat.size };
  } catch (cause) {
    throw hostError(`cannot read ${path}`, cause);
  }
}
