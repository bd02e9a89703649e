import { readdirSync, readFileSync } from 'node:fs';

/** Lists the processes that this one started. */
function children(): { readonly pid: number; readonly command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) !== process.pid) return [];
        return [{ pid: Number(pid), command: readFileSync(`/proc/${pid}/cmdline`, 'utf8') }];
      } catch {
        return [];
      }
    });
}

/** Lists the process ids of the QEMUs that this process started. */
export const qemus = () =>
  children()
    .filter(({ command }) => command.includes('-blockdev'))
    .map(({ pid }) => pid);

/** Waits for a QEMU beside `first`; returns undefined when `work`, which starts it, was over too quickly to be seen. */
export async function otherQemu(first: number, work: Promise<unknown>): Promise<number | undefined> {
  let isOver = false;
  void work.then(() => (isOver = true));
  for (;;) {
    const other = qemus().find((pid) => pid !== first);
    if (other !== undefined || isOver) return other;
    await new Promise(setImmediate);
  }
}
