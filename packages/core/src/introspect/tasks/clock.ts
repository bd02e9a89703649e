import type { KernelReader } from '../kernel-types.js';
import type { KernelSymbols } from '../symbols/kernel-symbols.js';
import type { KernelTask } from './tasks.js';

/**
 * The scheduler's clock, in ns: the latest of those of all CPUs. That of an idle CPU does not advance, so that it is the time when
 * something last happened.
 */
export function readSchedulerClock(
  kernel: KernelReader,
  symbols: KernelSymbols,
  tasks: readonly KernelTask[],
  cpus: number,
): bigint {
  const offsets = symbols.address('__per_cpu_offset');
  const queues = symbols.address('runqueues');
  let latest = 0n;
  for (const { lastRan } of tasks) if (lastRan !== undefined && lastRan > latest) latest = lastRan;
  if (offsets === undefined || queues === undefined) return latest;
  for (let cpu = 0; cpu < cpus; cpu += 1) {
    const base = kernel.memory.u64(offsets + BigInt(8 * cpu));
    const clock = base === undefined ? undefined : kernel.pointer(BigInt.asUintN(64, base + queues), 'rq', 'clock');
    if (clock !== undefined && clock > latest) latest = clock;
  }
  return latest;
}
