import type { AcceleratorChoice } from './accelerator.js';

/** What a VM is made of: plain JSON, enough to build the same one again. */
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
