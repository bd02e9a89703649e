import { QmpilotError } from '../../../errors.js';
import { openKernel } from '../../../introspect/kernel.js';
import { findBuildId } from '../../../introspect/vmlinux/build-id.js';
import type { WaitOptions } from '../../../util/async/deadline.js';
import type { VmContext } from '../../context.js';
import { knownKernel, readKernel, withMemory } from '../explain/guest-kernel.js';

/** The kernel that a guest runs, as it is in memory. */
export interface KernelImage {
  /** `6.1.0-56-cloud-amd64` */
  readonly release: string;
  /** Hexadecimal digits; absent for a kernel without one. */
  readonly buildId?: string;
  /** Where KASLR has put the beginning of its code, in hexadecimal digits. */
  readonly text: string;
}

const MAX_NOTES = 2 ** 16;

/** Reads from the guest's memory which kernel it runs, and where. */
export async function readKernelImage(
  { turns, machine, family }: VmContext,
  { signal, timeout = '2m' }: WaitOptions,
): Promise<KernelImage> {
  return turns.runWithin('reading the kernel', { signal, timeout }, async (wait) => {
    const { result } = await withMemory(machine, wait, async (memory) =>
      readKernel(machine.qmp, wait, (cpus): KernelImage => {
        const identity = knownKernel(family, memory, cpus, undefined);
        const { symbols, banner } = identity;
        const release = /^Linux version (\d[\w.+~-]{0,99}) /.exec(banner)?.[1];
        const text = symbols.address('_stext');
        const kernel = openKernel(memory, cpus, identity);
        if (!kernel || text === undefined || release === undefined)
          throw new QmpilotError('USAGE', "cannot find the kernel in the guest's memory");
        const [start, stop] = [symbols.address('__start_notes'), symbols.address('__stop_notes')];
        const length = start === undefined || stop === undefined ? 0 : Number(stop - start);
        const notes = length > 0 && length <= MAX_NOTES ? kernel.memory.bytes(start ?? 0n, length) : undefined;
        const buildId = notes && findBuildId(notes);
        return { release, ...(buildId !== undefined && { buildId }), text: text.toString(16) };
      }),
    );
    return result.result;
  });
}
