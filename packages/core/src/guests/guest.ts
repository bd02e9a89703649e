import * as v from 'valibot';
import { QmpilotError } from '../errors.js';
import type { KernelSpec, SharedFolder } from '../qemu/command-line/machine-spec.js';
import { shown } from '../util/text/shown.js';
import { isObject } from '../util/validation/is-object.js';
import type { KernelOption } from './kernels/kernel-option.js';
import type { ScriptSpec } from './nixos/interface.js';

/** A disk as the guest's description names it: every VM writes to an overlay of its own, never to this file. */
export interface GuestDisk {
  /** Name of the block node; letters, digits and `-`. */
  readonly id: string;
  readonly file: string;
  readonly format: 'qcow2' | 'raw';
  /** The guest cannot write to it, so that VMs need no overlays of it. Default false. */
  readonly readOnly?: boolean;
}

/** The kernel of a guest. */
export interface GuestKernel extends KernelSpec {
  /** Adds `norandmaps` to `append` where an emulator would translate a program again at each address. Default false. */
  readonly fixedAddresses?: boolean;
}

/** How to get from the guest's serial console to a shell prompt. */
export interface SerialLogin {
  /** Shows that a shell waits for input on ttyS0. */
  readonly prompt: RegExp;
}

/** The schema of `SerialLogin`. */
export const SERIAL_LOGIN = v.strictObject({ prompt: v.instance(RegExp) } satisfies Record<
  keyof SerialLogin,
  v.GenericSchema
>);

/** A guest that is there: files and numbers, all that starting it takes. */
export interface PreparedGuest {
  readonly name: string;
  /** A script that starts QEMU, in place of kernel and disks; `cpus` and `memoryMiB` are then its own, unless it says otherwise. */
  readonly script?: ScriptSpec;
  /** Stands for everything that went into it; a snapshot belongs to one key. */
  readonly key: string;
  readonly kernelRelease?: string;
  readonly kernel?: GuestKernel;
  readonly disks: readonly GuestDisk[];
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly network: 'none' | 'restricted' | 'user';
  /** TCP ports of the guest that free ports of the host's loopback address are forwarded to, in each of its VMs. */
  readonly ports?: readonly number[];
  /** Folders of the host that the guest mounts. */
  readonly shares?: readonly SharedFolder[];
  /** Names of the virtio consoles, in the guest's order. */
  readonly virtioConsoles: readonly string[];
  /** The virtio console with a root bash that `vm.exec` uses. */
  readonly shell?: string;
  /** A second one, for what looks at the guest while a command runs. */
  readonly samplingShell?: string;
  /** Virtio consoles that nobody uses: `vm.openShell` starts a bash on them. */
  readonly spareConsoles?: readonly string[];
  /** A virtio port for the guest agent (qemu-ga). */
  readonly guestAgent?: boolean;
  readonly login?: SerialLogin;
  /** `std`: a graphics card; none by default. */
  readonly display?: 'none' | 'std';
}

/** Whether the VMs of a guest have a virtio port for copies: those with a console shell, which runs the guest's end of a copy. */
export function hasCopyPort({ shell }: Pick<PreparedGuest, 'shell'>): boolean {
  return shell !== undefined;
}

/** Context for the preparation of a guest. */
export interface PrepareContext {
  readonly signal?: AbortSignal | undefined;
  /** Called with lines about long steps, for users. */
  readonly onProgress?: ((message: string) => void) | undefined;
  /** Directory of the images; default `cacheRoot()`. */
  readonly cacheDir?: string | undefined;
}

/** A guest that can be booted; its files are made on demand. */
export interface GuestDescription {
  readonly name: string;
  /**
   * Makes what is missing (an image is built once and kept) and checks the rest.
   * @throws {GUEST_BUILD} {TOOL_MISSING} {NO_SPACE} {USAGE} {ABORTED}
   */
  prepare(context?: PrepareContext): Promise<PreparedGuest>;
  /** The same guest with another kernel, for `qmpilot repro --kernel`; missing where that makes no sense. */
  withKernel?(kernel: KernelOption): GuestDescription;
}

/** @throws {USAGE} when the value is not a guest description, such as `debian` in place of `debian()` */
export function checkGuest(value: unknown, name: string): asserts value is GuestDescription {
  if (isObject(value) && typeof value['name'] === 'string' && typeof value['prepare'] === 'function') return;
  throw new QmpilotError('USAGE', `${name}: expected a guest, got ${shown(value)}`, {
    hint: 'pass debian(), direct({ ... }) or nixos({ ... })',
  });
}
