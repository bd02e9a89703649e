import type { AcceleratorChoice } from '../qemu/host/accelerator.js';

/** What this vm is made of: plain JSON, enough for somebody else to build the same. */
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
