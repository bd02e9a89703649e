import type { Machine } from '../qemu/process/machine.js';
import type { VmFacts } from '../qemu/vm-facts.js';
import type { VmFamily } from './family.js';

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
