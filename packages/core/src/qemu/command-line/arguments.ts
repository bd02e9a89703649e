/** The QEMU command line as a value: pure, so that it can be tested, recorded and compared. */
import type { ReadBack } from './read-back.js';

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
  /** The file belongs to somebody else: it is read, never moved. */
  readonly foreign?: boolean;
}

export interface RamSpec {
  /** `anonymous`: QEMU's own memory. `file`: mapped from a file, shared (writes reach it) or private (copy on write). */
  readonly kind: 'anonymous' | 'file';
  readonly path?: string;
  readonly share?: boolean;
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
  /** Names of the virtio consoles, in the guest's order: hvc0, hvc1, ... */
  readonly virtioConsoles: readonly string[];
  /** A virtio port for the guest agent, `org.qemu.guest_agent.0`. */
  readonly guestAgent?: boolean;
  /** `none`, or user-mode networking that reaches neither host nor world (`restricted`), or all of it (`user`). */
  readonly network: 'none' | 'restricted' | 'user';
  /** `std`: a VGA card for `screendump`, whose memory is 4 MiB: enough for 1280 x 800. None by default. */
  readonly display?: 'none' | 'std';
  /** Further arguments, as they are. */
  readonly extra: readonly string[];
  /** A machine that a script described: its own arguments, in place of all the above but disks, RAM and consoles. */
  readonly readBack?: ReadBack;
}

/** What only this one start of a machine needs. */
export interface StartSpec {
  readonly name: string;
  readonly version: { readonly major: number; readonly minor: number };
  /** File descriptors in the child: QMP, ttyS0, the virtio consoles, the guest agent where there is one. */
  readonly fds: {
    readonly qmp: number;
    readonly serial: number;
    readonly virtio: readonly number[];
    readonly agent?: number;
  };
  /** Wait for `migrate-incoming` instead of booting. */
  readonly incoming?: boolean;
  /** seccomp filter; off only where QEMU was built without it. */
  readonly sandbox?: boolean;
}

/** Device id of the guest agent's port. */
export const AGENT_PORT = 'agent-port';

/** QEMU reads a comma as the end of a value; twice it is a comma. */
export function escapeValue(value: string | number): string {
  return String(value).replaceAll(',', ',,');
}

/** `socket,id=qmp,fd=3`: the form of most of QEMU's options. Undefined values are left out. */
export function option(head: string, values: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const parts = Object.entries(values).flatMap(([key, value]) => {
    if (value === undefined) return [];
    const text = typeof value === 'boolean' ? (value ? 'on' : 'off') : escapeValue(value);
    return [`${key}=${text}`];
  });
  return [head, ...parts].filter(Boolean).join(',');
}

export function buildArguments(spec: MachineSpec, start: StartSpec): string[] {
  const { fds } = start;
  return [
    '-name',
    option('', { guest: start.name }),
    '-nodefaults',
    '-no-user-config',
    '-display',
    'none',
    ...(start.sandbox === false
      ? []
      : ['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny']),
    '-accel',
    spec.accelerator === 'tcg' ? 'tcg,thread=multi' : 'kvm',
    '-cpu',
    spec.cpu,
    '-smp',
    String(spec.cpus),
    '-m',
    `${spec.memoryMiB}M`,
    ...ramArguments(spec, start),
    '-S',
    '-chardev',
    option('socket', { id: 'qmp', fd: fds.qmp }),
    '-mon',
    option('', { chardev: 'qmp', mode: 'control' }),
    '-chardev',
    option('socket', { id: 'ttyS0', fd: fds.serial }),
    '-serial',
    'chardev:ttyS0',
    '-device',
    'virtio-serial-pci,id=consoles',
    ...spec.virtioConsoles.flatMap((name, index) => [
      '-chardev',
      option('socket', { id: name, fd: fds.virtio[index] }),
      '-device',
      option('virtconsole', { chardev: name, bus: 'consoles.0' }),
    ]),
    ...(spec.guestAgent && fds.agent !== undefined
      ? [
          '-chardev',
          option('socket', { id: 'agent', fd: fds.agent }),
          '-device',
          option('virtserialport', {
            id: AGENT_PORT,
            chardev: 'agent',
            bus: 'consoles.0',
            name: 'org.qemu.guest_agent.0',
          }),
        ]
      : []),
    '-object',
    'rng-random,id=rng,filename=/dev/urandom',
    '-device',
    'virtio-rng-pci,rng=rng',
    '-device',
    'pvpanic',
    // A restored guest is told so by a new generation id, and its kernel reseeds its random numbers.
    '-device',
    'vmgenid,guid=auto',
    ...(spec.display === 'std' ? ['-device', 'VGA,vgamem_mb=4'] : []),
    '-action',
    'panic=none',
    '-rtc',
    'base=utc,clock=host',
    ...spec.disks.flatMap(diskArguments),
    ...networkArguments(spec.network),
    ...(spec.kernel && (!start.incoming || spec.reboots) ? kernelArguments(spec.kernel) : []),
    ...(start.incoming ? ['-incoming', 'defer'] : []),
    ...spec.extra,
  ];
}

/**
 * Whether a private mapping can leave its RAM file open for reading only: `rom=off` came with 8.2, and without it
 * `readonly` would make a ROM of the guest's memory. Older ones open the file for writing, and write nothing to it.
 */
export function canMapReadOnly({ major, minor }: StartSpec['version']): boolean {
  return major > 8 || (major === 8 && minor >= 2);
}

function ramArguments(spec: MachineSpec, start: StartSpec): string[] {
  const machine = ['-machine', option(spec.machine, { 'memory-backend': 'ram' })];
  // The same name as with a file: a state that was saved from one kind loads into the other.
  if (spec.ram.kind === 'anonymous')
    return ['-object', option('memory-backend-ram', { id: 'ram', size: `${spec.memoryMiB}M` }), ...machine];
  const share = spec.ram.share === true;
  const readOnly = !share && canMapReadOnly(start.version);
  return [
    '-object',
    option('memory-backend-file', {
      'id': 'ram',
      'size': `${spec.memoryMiB}M`,
      'mem-path': spec.ram.path ?? '',
      share,
      ...(readOnly ? { readonly: true, rom: false } : {}),
    }),
    ...machine,
  ];
}

function diskArguments(disk: DiskSpec): string[] {
  // The vm's disks live as long as its process: no flush need reach the host's disk.
  return [
    '-blockdev',
    option('', {
      'driver': disk.format,
      'node-name': disk.id,
      'read-only': disk.readOnly ?? false,
      'cache.no-flush': true,
      'discard': 'unmap',
      'file.driver': 'file',
      'file.filename': disk.file,
      'file.locking': 'off',
    }),
    '-device',
    option('virtio-blk-pci', { drive: disk.id, id: `dev-${disk.id}` }),
  ];
}

function networkArguments(network: MachineSpec['network']): string[] {
  if (network === 'none') return ['-nic', 'none'];
  return [
    '-netdev',
    option('user', { id: 'net0', restrict: network === 'restricted' }),
    '-device',
    'virtio-net-pci,netdev=net0,romfile=',
  ];
}

function kernelArguments(kernel: KernelSpec): string[] {
  return ['-kernel', kernel.kernel, ...(kernel.initrd ? ['-initrd', kernel.initrd] : []), '-append', kernel.append];
}
