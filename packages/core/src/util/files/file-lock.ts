import { AbortedError, QmpilotError } from '../../errors.js';
import { requireProgram } from './which.js';

/** Exit status of flock(1) when another process holds the lock. */
const HELD = 1;

export interface LockOptions {
  /** How long to wait while another process holds the lock, in ms (default 0; Infinity: until `signal` fires). */
  readonly patience?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Locks an open file until it is closed: flock(1) takes the lock on the descriptor that it inherits, and the lock stays with
 * this process however it ends.
 * @returns false when another process holds the lock
 * @throws {TOOL_MISSING} without flock
 * @throws {IO} on a file system without locks
 * @throws {ABORTED}
 */
export async function lockFile(fd: number, path: string, { patience = 0, signal }: LockOptions = {}): Promise<boolean> {
  const flock = await requireProgram('flock', 'on Debian: apt-get install util-linux');
  const aborted = () => new AbortedError(`the lock of ${path}`, signal?.reason);
  if (signal?.aborted) throw aborted();
  const waits = patience > 0;
  const { spawn } = await import('node:child_process');
  const child = spawn(flock, [...(waits ? [] : ['-n']), '-x', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  const kill = () => void child.kill();
  const timer = waits && Number.isFinite(patience) ? setTimeout(kill, patience) : undefined;
  signal?.addEventListener('abort', kill, { once: true });
  try {
    const status = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', resolve);
    });
    if (status === 0) return true;
    if (signal?.aborted) throw aborted();
    if (status === HELD || status === null) return false;
    throw new QmpilotError('IO', `cannot lock ${path}: flock ended with status ${status}`, {
      hint: 'use a folder on a local file system',
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', kill);
  }
}
