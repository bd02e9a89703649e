import type { AcceleratorChoice } from '../qemu/host/accelerator.js';
import type { Machine } from '../qemu/process/machine.js';
import type { VmFamily } from './family.js';

/** What a VM is made of: plain JSON, enough for somebody else to build the same. */
export interface VmFacts {
  readonly qemu: { readonly path: string; readonly version: string };
  readonly accelerator: AcceleratorChoice;
  readonly machine: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly guest: { readonly name: string; readonly key: string; readonly kernelRelease?: string };
  /** QEMU's command line as it runs now. */
  readonly commandLine: readonly string[];
}

export function factsOf({ guest, context, accelerator }: VmFamily, { spec, process }: Machine): VmFacts {
  return {
    qemu: { path: context.binary.path, version: context.binary.version.text },
    accelerator,
    machine: spec.machine,
    cpu: spec.cpu,
    cpus: spec.cpus,
    memoryMiB: spec.memoryMiB,
    guest: { name: guest.name, key: guest.key, ...(guest.kernelRelease && { kernelRelease: guest.kernelRelease }) },
    commandLine: process.args,
  };
}
