import { open, rm, type FileHandle } from 'node:fs/promises';
import { lockFile } from '../../util/files/file-lock.js';

export interface CacheLock {
  /** Releases it; `done` removes the lock file, once what it guards is there for everybody. */
  release(done: boolean): Promise<void>;
}

/**
 * Locks the file at `path`, until it is released or this process ends. Undefined when another process has held it for
 * `timeoutMs`.
 * @throws {TOOL_MISSING} without flock
 * @throws {IO} on a file system without locks
 * @throws {ABORTED}
 */
export async function lockForMaking(
  path: string,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
): Promise<CacheLock | undefined> {
  const file = await open(path, 'a', 0o600);
  let locked = false;
  try {
    locked = await lockFile(file.fd, path, { patience: timeoutMs, signal });
  } finally {
    if (!locked) await file.close();
  }
  return locked ? { release: (done) => release(file, path, done) } : undefined;
}

async function release(file: FileHandle, path: string, done: boolean): Promise<void> {
  // After a failure the next process that waits for this very file makes the snapshot, alone.
  if (done) await rm(path, { force: true });
  await file.close();
}
