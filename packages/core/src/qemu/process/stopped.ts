import { readFile } from 'node:fs/promises';
import { QmpilotError } from '../../errors.js';

const POLL_INTERVAL_MS = 1000;
/** So many looks in a row: one that is stopped and continued together with us is not treated as lost. */
const MAX_POLLS = 5;

/**
 * Calls `act` once when the process has been stopped by a signal (SIGSTOP) for five seconds of our time: nothing that is asked of it will
 * be answered. A debugger's stop (`t`) is not one, nor many short ones. Returns a function that ends it.
 */
export function onStopped(pid: number, act: (error: QmpilotError) => void): () => void {
  let seen = 0;
  let ran = '';
  const timer = setInterval(() => void look(), POLL_INTERVAL_MS);
  timer.unref();
  const look = async () => {
    const before = ran;
    ran = await timeOnCpu(pid);
    seen = !(await isStopped(pid)) ? 0 : ran === before ? seen + 1 : 1;
    if (seen < MAX_POLLS) return;
    clearInterval(timer);
    act(
      new QmpilotError(
        'QEMU_EXITED',
        `QEMU (pid ${pid}) was stopped by a signal, and did not continue within ${(MAX_POLLS * POLL_INTERVAL_MS) / 1000} s`,
        {
          hint: 'find out which process sent it SIGSTOP; use vm.pause() to pause a VM',
        },
      ),
    );
  };
  return () => clearInterval(timer);
}

/** proc_pid_stat(5): the third field, behind the name. */
export async function isStopped(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
}

/** Nanoseconds, by schedstat: being continued costs some. Always the same where the kernel does not tell. */
async function timeOnCpu(pid: number): Promise<string> {
  const schedstat = await readFile(`/proc/${pid}/schedstat`, 'latin1').catch(() => '');
  return schedstat.split(' ')[0] ?? '';
}
