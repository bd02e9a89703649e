import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { QmpilotError } from '../errors.js';
import { which } from '../qemu/host/binary.js';
import { monotonicMs } from '../util/clock.js';
import { pause } from '../util/deadline.js';

/** flock(1)'s exit status when another holds the lock. */
const HELD = 1;
/** A controller that was killed a moment ago may not be gone yet. */
const PATIENCE_MS = 2000;

/**
 * Locks the open file for as long as this process keeps it open, however it ends: flock(1) takes the lock on the descriptor that
 * it inherits, and it stays with ours. False when another process holds it.
 * @throws {TOOL_MISSING} without flock
 * @throws {USAGE} where the file system knows no locks
 */
export async function lockFile(fd: number, path: string): Promise<boolean> {
  const flock = await which('flock');
  if (!flock)
    throw new QmpilotError('TOOL_MISSING', 'flock is not on PATH', { hint: 'on Debian: apt-get install util-linux' });
  const deadline = monotonicMs() + PATIENCE_MS;
  for (;;) {
    const child = spawn(flock, ['-n', '-x', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    const [status]: unknown[] = await once(child, 'exit');
    if (status === 0) return true;
    if (status !== HELD) {
      throw new QmpilotError('USAGE', `${path} cannot be locked: flock ended with status ${String(status)}`, {
        hint: 'put the run directory on a local file system, by --out',
      });
    }
    if (monotonicMs() > deadline) return false;
    await pause(50);
  }
}
