/** The QEMU command line as a value: pure, so that it can be tested, recorded and compared. */
import type { DiskSpec, KernelSpec, MachineSpec, SharedFolder, StartSpec } from './machine-spec.js';
import { option } from './options.js';

/** Device id of the guest agent's port. */
export const AGENT_PORT = 'agent-port';
/** Name in the guest, and device id, of the port for copies. */
export const COPY_PORT = 'org.qmpilot.copy';

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
    // -mon is deprecated in QEMU 11.1.
    '-qmp',
    'chardev:qmp',
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
    ...(spec.copyPort && fds.copy !== undefined
      ? [
          '-chardev',
          option('socket', { id: 'copy', fd: fds.copy }),
          '-device',
          option('virtserialport', { id: COPY_PORT, chardev: 'copy', bus: 'consoles.0', name: COPY_PORT }),
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
    // The guest's qemu_fw_cfg exports its VMCOREINFO to it, which crash and drgn need in a dump.
    '-device',
    'vmcoreinfo',
    ...(spec.display === 'std' ? ['-device', 'VGA,vgamem_mb=4'] : []),
    '-action',
    'panic=none',
    '-rtc',
    'base=utc,clock=host',
    ...spec.disks.flatMap(diskArguments),
    ...(spec.shares ?? []).flatMap(shareArguments),
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
  // The VM's disks live as long as its process: no flush need reach the host's disk.
  return [
    '-blockdev',
    option('', {
      'driver': disk.format,
      'node-name': disk.node ?? disk.id,
      'read-only': disk.readOnly ?? false,
      'cache.no-flush': true,
      'discard': 'unmap',
      'file.driver': 'file',
      'file.filename': disk.file,
      'file.locking': 'off',
    }),
    '-device',
    option('virtio-blk-pci', { drive: disk.node ?? disk.id, id: `dev-${disk.id}` }),
  ];
}

function shareArguments({ tag, host, writable }: SharedFolder): string[] {
  return [
    '-fsdev',
    option('local', {
      id: tag,
      path: host,
      readonly: !writable,
      // What the guest writes are plain files: its owners, modes, links and devices are kept in extended attributes.
      security_model: writable ? 'mapped-xattr' : 'none',
      multidevs: 'remap',
    }),
    '-device',
    option('virtio-9p-pci', { fsdev: tag, mount_tag: tag }),
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
