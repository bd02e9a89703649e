import { isQmpilotError } from '../../../errors.js';
import type { Btf } from '../../../introspect/btf/btf.js';
import { parseRegisters, type CpuRegisters } from '../../../introspect/cpu/registers.js';
import { findKernel, openKernel, type KernelIdentity } from '../../../introspect/kernel.js';
import type { QmpClient } from '../../../qmp/client.js';
import type { WaitOptions } from '../../../util/async/deadline.js';
import { monotonicMs } from '../../../util/time/clock.js';
import type { VmFamily } from '../../family.js';
import { copyMemory, openProcessMemory, type MachineWithMemory, type OpenMemory } from './guest-memory.js';

/** The kernel of a guest and its forks, which have it at the same place. */
const kernels = new WeakMap<VmFamily, KernelIdentity>();

/**
 * Opens the guest's memory for `task`. Where the host does not permit to read QEMU's process, the guest is paused for a copy of it and for the
 * task: `pausedMs` then says how long.
 */
export async function withMemory<T>(
  machine: MachineWithMemory,
  wait: WaitOptions,
  task: (memory: OpenMemory) => Promise<T>,
): Promise<{ readonly result: T; readonly pausedMs?: number }> {
  const read = async (memory: OpenMemory) => {
    try {
      return await task(memory);
    } finally {
      await memory.close();
    }
  };
  const live = await openProcessMemory(machine, wait);
  if (live) return { result: await read(live) };
  return paused(machine.qmp, wait, async () => read(await copyMemory(machine, wait)));
}

/** The kernel in a guest's memory; found once for a guest and its forks. */
export function knownKernel(
  family: VmFamily,
  memory: OpenMemory,
  cpus: readonly CpuRegisters[],
  btf: Btf | undefined,
): KernelIdentity {
  const known = kernels.get(family);
  if (known && openKernel(memory, cpus, known)) return btf ? { ...known, btf } : known;
  const found = findKernel(memory, cpus, btf);
  // Types that were given are for one call: they may be those of another kernel.
  if (!btf) kernels.set(family, found);
  return found;
}

export async function readRegisters(qmp: QmpClient, wait: WaitOptions): Promise<CpuRegisters[]> {
  return parseRegisters(await qmp.execute('human-monitor-command', { 'command-line': 'info registers -a' }, wait));
}

/**
 * Reads what does not change while the guest runs. A page table that a CPU has just left may be overwritten before it is read: the guest is then
 * paused for a second try.
 */
export async function readKernel<T>(
  qmp: QmpClient,
  wait: WaitOptions,
  read: (cpus: readonly CpuRegisters[]) => T,
): Promise<{ readonly result: T; readonly pausedMs: number }> {
  try {
    return { result: read(await readRegisters(qmp, wait)), pausedMs: 0 };
  } catch (error) {
    if (!isQmpilotError(error, 'USAGE')) throw error;
    return paused(qmp, wait, async () => read(await readRegisters(qmp, wait)));
  }
}

/** Runs `task` while the guest is paused; a guest that was paused before stays so. */
export async function paused<T>(qmp: QmpClient, wait: WaitOptions, task: () => Promise<T>) {
  const { running } = await qmp.execute('query-status', undefined, wait);
  if (!running) return { result: await task(), pausedMs: 0 };
  const begun = monotonicMs();
  try {
    await qmp.execute('stop', undefined, wait);
    return { result: await task(), pausedMs: Math.round(monotonicMs() - begun) };
  } finally {
    // QEMU carries out a `stop` that was given up as well: without the caller's signal.
    await qmp.execute('cont');
  }
}
