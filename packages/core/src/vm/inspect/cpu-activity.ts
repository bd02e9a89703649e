import { readFile } from 'node:fs/promises';
import type { CpuActivity } from '../../detect/life/life-signs.js';
import type { QmpClient } from '../../qmp/client.js';
import { pause, type WaitOptions } from '../../util/async/deadline.js';
import { monotonicMs } from '../../util/time/clock.js';

const HALT_SAMPLES = 5;
/** USER_HZ, include/asm-generic/param.h: the same on every machine that Node runs on. */
const TICKS_PER_SECOND = 100;

/**
 * Measures what the virtual CPUs do within `windowMs`: how much of the host their threads use (query-cpus-fast names them), and how
 * often they are found halted. Either is missing where QEMU or the host does not tell.
 */
export async function watchCpus(
  qmp: QmpClient,
  pid: number,
  windowMs: number,
  options: WaitOptions,
): Promise<CpuActivity[]> {
  const cpus = await qmp.execute('query-cpus-fast', undefined, options);
  const threads = cpus.map((cpu) => ({ index: cpu['cpu-index'], thread: cpu['thread-id'] }));
  const begun = monotonicMs();
  const before = await Promise.all(threads.map(({ thread }) => cpuTicks(pid, thread)));
  const halted = new Map<number, number>();
  let looks = 0;
  for (let look = 0; look < HALT_SAMPLES; look += 1) {
    await pause(windowMs / HALT_SAMPLES, options.signal);
    const found = await haltedCpus(qmp, options);
    if (found === undefined) continue;
    looks += 1;
    for (const index of found) halted.set(index, (halted.get(index) ?? 0) + 1);
  }
  const after = await Promise.all(threads.map(({ thread }) => cpuTicks(pid, thread)));
  const seconds = Math.max(0.001, (monotonicMs() - begun) / 1000);
  return threads.map(({ index }, at) => {
    const [from, to] = [before[at], after[at]];
    return {
      index,
      ...(from === undefined || to === undefined
        ? {}
        : { busy: Math.min(1, (to - from) / TICKS_PER_SECOND / seconds) }),
      ...(looks === 0 ? {} : { halted: (halted.get(index) ?? 0) / looks }),
    };
  });
}

/** The x86 registers as QEMU prints them: `CPU#0 ... HLT=1`; undefined for machines that print no such thing. */
async function haltedCpus(qmp: QmpClient, options: WaitOptions): Promise<number[] | undefined> {
  const text = await qmp.execute('human-monitor-command', { 'command-line': 'info registers -a' }, options);
  const cpus = [...text.matchAll(/CPU#(\d{1,5})\b[^]{0,4000}?HLT=([01])/g)];
  return cpus.length === 0 ? undefined : cpus.flatMap(([, index, halted]) => (halted === '1' ? [Number(index)] : []));
}

/** proc_pid_stat(5): utime and stime are the 14th and 15th field, the 12th and 13th behind the name. */
async function cpuTicks(pid: number, thread: number): Promise<number | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/task/${thread}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return undefined;
  }
}
