import { COPY_PORT } from './arguments.js';
import type { DiskSpec, MachineSpec, Ports, ReadBack, StartSpec } from './machine-spec.js';
import { formatArguments, option, optionValue, parseOption, withValues, type Argument } from './options.js';

/** Belongs to the first start, or to the program that started it: a fork has none of it. */
const FIRST_START_ONLY = new Set(
  'kernel initrd append dtb S display incoming daemonize pidfile D qmp qmp-pretty monitor vnc spice loadvm sandbox runas chroot gdb s curses full-screen'.split(
    ' ',
  ),
);
/** Character devices that hold on to nothing on the host. */
const HARMLESS_CHARDEVS = new Set(['null', 'ringbuf', 'memory', 'vc', 'testdev']);
/** `-serial X`, `-debugcon X`: a device with a backend of its own. */
const DIRECT_CHARDEVS = new Set(['serial', 'parallel', 'debugcon']);

/** The command line of a fork: the script's devices in their order, so that each finds its saved state, and our own. */
export function readBackArguments(spec: MachineSpec, readBack: ReadBack, start: StartSpec): string[] {
  const disks = new Map(
    readBack.drives.map(({ argument, disk }) => [argument, spec.disks.find(({ id }) => id === disk)]),
  );
  const theirs = readBack.arguments.flatMap((argument, index) =>
    forkArgument(argument, disks.get(index), readBack.ram.id),
  );
  return [
    ...formatArguments(theirs),
    ...ramArguments(spec, readBack, start),
    ...readBack.overrides,
    ...drivingArguments({ ...spec, console: readBack.console }, start),
    ...(start.incoming ? ['-incoming', 'defer'] : []),
  ];
}

function forkArgument(argument: Argument, disk: DiskSpec | undefined, ramId: string): Argument[] {
  const { name, value = '' } = argument;
  if (FIRST_START_ONLY.has(name)) return [];
  if (disk) return [{ name, value: diskOption(name, value, disk) }];
  if (name === 'object' && value.startsWith('memory-backend-') && optionValue(value, 'id') === ramId) return [];
  if (name === 'chardev') return [{ name, value: quietChardev(value) }];
  if (DIRECT_CHARDEVS.has(name) && !value.startsWith('chardev:') && value !== 'none') return [{ name, value: 'null' }];
  return [argument];
}

/** Replaces a backend that forks must not share (a socket, a log file, a terminal) by a null device. */
function quietChardev(value: string): string {
  const backend = parseOption(value)[0]?.[0] ?? '';
  const id = optionValue(value, 'id');
  return HARMLESS_CHARDEVS.has(backend) || id === undefined ? value : option('null', { id });
}

function diskOption(name: string, value: string, disk: DiskSpec): string {
  if (name === 'drive') return withValues(value, { 'file': disk.file, 'format': disk.format, 'node-name': disk.id });
  return withValues(value, { 'driver': disk.format, 'file.driver': 'file', 'file.filename': disk.file });
}

function ramArguments({ ram }: MachineSpec, { ram: { id, bytes } }: ReadBack, { version }: StartSpec): string[] {
  if (ram.kind === 'anonymous' || ram.path === undefined) return [];
  const share = ram.share === true;
  const readOnly = !share && (version.major > 8 || (version.major === 8 && version.minor >= 2));
  const backend = option('memory-backend-file', {
    id,
    'size': bytes,
    'mem-path': ram.path,
    share,
    ...(readOnly ? { readonly: true, rom: false } : {}),
  });
  return ['-object', backend, '-machine', option('', { 'memory-backend': id })];
}

export interface Driven extends Ports, Pick<ReadBack, 'console'> {}

/** The arguments that drive any machine: QMP, a serial line, virtio consoles, all on inherited descriptors; paused at first. */
export function drivingArguments(spec: Driven, { fds }: Pick<StartSpec, 'fds'>): string[] {
  const channel = (id: string, fd: number | undefined) => ['-chardev', option('socket', { id, fd })];
  return [
    '-S',
    '-display',
    'none',
    '-monitor',
    'none',
    '-action',
    'panic=none',
    ...channel('qmpilot-qmp', fds.qmp),
    '-qmp',
    'chardev:qmpilot-qmp',
    ...channel('qmpilot-serial', fds.serial),
    ...(spec.console === 'serial' ? ['-serial', 'chardev:qmpilot-serial'] : []),
    '-device',
    'virtio-serial-pci,id=qmpilot-consoles',
    ...spec.virtioConsoles.flatMap((name, index) => [
      ...channel(`qmpilot-${name}`, fds.virtio[index]),
      '-device',
      option('virtconsole', { chardev: `qmpilot-${name}`, bus: 'qmpilot-consoles.0' }),
    ]),
    ...(spec.console === 'virtio'
      ? ['-device', option('virtconsole', { chardev: 'qmpilot-serial', bus: 'qmpilot-consoles.0' })]
      : []),
    ...(spec.guestAgent
      ? [
          ...channel('qmpilot-agent', fds.agent),
          '-device',
          option('virtserialport', {
            chardev: 'qmpilot-agent',
            bus: 'qmpilot-consoles.0',
            name: 'org.qemu.guest_agent.0',
          }),
        ]
      : []),
    ...(spec.copyPort
      ? [
          ...channel('qmpilot-copy', fds.copy),
          '-device',
          option('virtserialport', {
            id: COPY_PORT,
            chardev: 'qmpilot-copy',
            bus: 'qmpilot-consoles.0',
            name: COPY_PORT,
          }),
        ]
      : []),
  ];
}

/** Whether a script gives its guest a serial port by name; `-nographic` gives one only where nobody does. */
export function hasSerialPort(parsed: readonly Argument[]): boolean {
  return parsed.some(({ name, value }) => name === 'serial' && value !== 'none');
}
