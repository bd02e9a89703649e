import * as v from 'valibot';
import type { Accelerator } from '../../qemu/accelerator.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { CPUS, DISPLAY, MEMORY_MIB, PATH, WAIT } from '../../util/validation/schemas.js';
import type { Vm } from '../vm.js';

export interface BootOptions extends WaitOptions {
  /** QEMU's binary, unless the guest has a start script; default `$QMPILOT_QEMU`, else `qemu-system-x86_64` on PATH. */
  readonly qemu?: string | undefined;
  /** `auto` (default): KVM where this guest's kernel has shown that it runs under it, else TCG. */
  readonly accelerator?: Accelerator | 'auto' | undefined;
  /** Virtual CPUs; default the guest's own wish. */
  readonly cpus?: number | undefined;
  readonly memoryMiB?: number | undefined;
  /** `std`: a graphics card, which `vm.screenshot` needs; default the guest's own wish, `none` where it has none. */
  readonly display?: 'none' | 'std' | undefined;
  /** Further QEMU arguments, as they are. */
  readonly qemuArguments?: readonly string[] | undefined;
  /** Lines about what takes long, for people. */
  readonly onProgress?: ((message: string) => void) | undefined;
  /**
   * Start from a saved snapshot of this guest, taken right after its first boot, and make that snapshot when it is missing: see
   * docs/how-to/boot-from-the-cache.md. Default: on when `$QMPILOT_BOOT_CACHE` is `1`.
   */
  readonly cache?: boolean | undefined;
  /**
   * Called with the VM before its guest runs, to see all of its boot. A VM from the boot cache has booted before: it is called
   * before that guest runs on.
   */
  readonly onStart?: ((vm: Vm) => void) | undefined;
}

export const BOOT_OPTIONS = v.strictObject({
  ...WAIT,
  qemu: v.optional(PATH),
  accelerator: v.optional(v.picklist(['auto', 'kvm', 'tcg'])),
  cpus: v.optional(CPUS),
  memoryMiB: v.optional(MEMORY_MIB),
  display: v.optional(DISPLAY),
  qemuArguments: v.optional(v.array(v.string())),
  onProgress: v.optional(v.function()),
  cache: v.optional(v.boolean()),
  onStart: v.optional(v.function()),
} satisfies Record<keyof BootOptions, v.GenericSchema>);
