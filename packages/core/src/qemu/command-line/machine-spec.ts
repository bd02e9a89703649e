import type { Argument } from './options.js';

export interface DiskSpec {
  /** Name of the block node and of the device; letters, digits and `-`. */
  readonly id: string;
  readonly file: string;
  readonly format: 'qcow2' | 'raw';
  readonly readOnly?: boolean;
  /** Name of the block node, where it is not `id`. */
  readonly node?: string;
  /** Its format, where it is one that we make no overlays of; `format` says nothing then. */
  readonly foreignFormat?: string;
  /** The file belongs to others: it is read, never moved. */
  readonly foreign?: boolean;
}

export interface RamSpec {
  /** `anonymous`: QEMU's own memory. `file`: mapped from a file, shared (writes reach it) or private (copy on write). */
  readonly kind: 'anonymous' | 'file';
  readonly path?: string;
  readonly share?: boolean;
}

/** A folder of the host that the guest mounts by 9p. */
export interface SharedFolder {
  /** The mount tag: letters and digits. */
  readonly tag: string;
  readonly host: string;
  /** Where the guest mounts it. */
  readonly guest: string;
  readonly writable: boolean;
}

/** A kernel that QEMU loads itself (`-kernel`), with its initrd and command line. */
export interface KernelSpec {
  readonly kernel: string;
  readonly initrd?: string;
  readonly append: string;
}

export interface MachineSpec {
  readonly accelerator: 'kvm' | 'tcg';
  /** QEMU machine type, `q35` by default. */
  readonly machine: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly ram: RamSpec;
  readonly kernel?: KernelSpec;
  /** Gives `kernel` also to a machine that loads a state: its guest can reboot. QEMU reads both files each time, and holds them. */
  readonly reboots?: boolean;
  readonly disks: readonly DiskSpec[];
  readonly shares?: readonly SharedFolder[];
  /** Names of the virtio consoles, in the guest's order: hvc0, hvc1, ... */
  readonly virtioConsoles: readonly string[];
  /** A virtio port for the guest agent, `org.qemu.guest_agent.0`. */
  readonly guestAgent?: boolean;
  /** A virtio port for `vm.copyIn` and `vm.copyOut`, `org.qmpilot.copy`. */
  readonly copyPort?: boolean;
  /** `none`, or user-mode networking that reaches neither host nor world (`restricted`), or all of it (`user`). */
  readonly network: 'none' | 'restricted' | 'user';
  /** `std`: a VGA card for `screendump`, whose memory is 4 MiB: enough for 1280 x 800. None by default. */
  readonly display?: 'none' | 'std';
  /** Further arguments, as they are. */
  readonly extra: readonly string[];
  /** A machine that a script described: its own arguments, in place of all the above but disks, RAM and consoles. */
  readonly readBack?: ReadBack;
}

/** The virtio consoles and ports of a machine. */
export type Ports = Pick<MachineSpec, 'virtioConsoles' | 'guestAgent' | 'copyPort'>;

/** Parameters of one start of a machine. */
export interface StartSpec {
  readonly name: string;
  readonly version: { readonly major: number; readonly minor: number };
  /** File descriptors in the child: QMP, ttyS0, the virtio consoles, the ports of the guest agent and of copies where there are any. */
  readonly fds: {
    readonly qmp: number;
    readonly serial: number;
    readonly virtio: readonly number[];
    readonly agent?: number;
    readonly copy?: number;
  };
  /** Wait for `migrate-incoming` instead of booting. */
  readonly incoming?: boolean;
  /** seccomp filter; off only where QEMU was built without it. */
  readonly sandbox?: boolean;
}

/** Why a machine that another program described cannot be started a second time, as forks and templates require, and how to fix that. */
export interface Obstacle {
  readonly reason: string;
  readonly remedy: string;
}

/**
 * A machine that another program's script started, as its running QEMU shows it: what a fork is built from. The arguments
 * are the script's; those that drive the machine are added at each start.
 */
export interface ReadBack {
  readonly arguments: readonly Argument[];
  /** QEMU's working directory, for its relative paths. */
  readonly cwd: string;
  /** Id of the backend that is the guest's RAM, and its size in bytes. */
  readonly ram: { readonly id: string; readonly bytes: number };
  /** Which argument gives which disk of the spec. */
  readonly drives: readonly { readonly argument: number; readonly disk: string }[];
  /** Why no fork can be built from it; empty when one can. */
  readonly obstacles: readonly Obstacle[];
  /** The device of our console in the guest: a serial port, or the last virtio console where the script has serial ports. */
  readonly console: 'serial' | 'virtio';
  /** Arguments that drove the first start beside those that every start has. */
  readonly overrides: readonly string[];
}
