import { access, constants, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import * as v from 'valibot';
import { QmpilotError } from '../errors.js';
import { CPUS, DISPLAY, MEMORY_MIB, NETWORK, PATH, PORT } from '../util/validation/schemas.js';
import { validate } from '../util/validation/validate.js';
import { SERIAL_LOGIN, type GuestDescription, type GuestDisk, type SerialLogin } from './guest.js';

/** The files that a guest of one's own boots from, and how it is reached. */
export interface DirectOptions {
  readonly name?: string;
  /** Kernel image that QEMU loads itself. Without it the first disk must boot by the firmware. */
  readonly kernel?: string;
  readonly initrd?: string;
  /** Kernel command line; `console=ttyS0` by default. */
  readonly append?: string;
  /** Disks in the guest's order; each VM writes to overlays of its own. */
  readonly disks?: readonly GuestDisk[];
  readonly cpus?: number;
  readonly memoryMiB?: number;
  readonly network?: 'none' | 'restricted' | 'user';
  /** TCP ports of the guest to forward to; see `DebianOptions.ports`. */
  readonly ports?: readonly number[];
  /** Virtio consoles in the guest's order (/dev/hvc0, ...). */
  readonly virtioConsoles?: readonly string[];
  /** The virtio console on which the guest runs a root `bash` for `vm.exec`. */
  readonly shell?: string;
  /** A second such console, for detectors. */
  readonly samplingShell?: string;
  /** Virtio consoles on which the guest runs a root `bash` that nothing else uses: `vm.openShell` takes them. */
  readonly spareConsoles?: readonly string[];
  /** The guest runs qemu-ga: add the virtio port for it. Default false. */
  readonly guestAgent?: boolean;
  /** What ttyS0 shows when the guest is up; unset, `boot` does not wait for it. */
  readonly login?: SerialLogin;
  /** `std`: a graphics card, which `vm.screenshot` needs; default none. */
  readonly display?: 'none' | 'std';
}

const DISK = v.strictObject({
  id: v.custom<string>(
    (value) => typeof value === 'string' && /^[A-Za-z][A-Za-z0-9-]{0,30}$/.test(value),
    'expected up to 31 letters, digits and "-", a letter first',
  ),
  file: PATH,
  format: v.picklist(['qcow2', 'raw']),
  readOnly: v.optional(v.boolean()),
} satisfies Record<keyof GuestDisk, v.GenericSchema>);

const DIRECT_OPTIONS = v.strictObject({
  name: v.optional(v.string()),
  kernel: v.optional(PATH),
  initrd: v.optional(PATH),
  append: v.optional(v.string()),
  disks: v.optional(v.array(DISK)),
  cpus: v.optional(CPUS),
  memoryMiB: v.optional(MEMORY_MIB),
  network: v.optional(NETWORK),
  ports: v.optional(v.array(PORT)),
  virtioConsoles: v.optional(v.array(v.string())),
  shell: v.optional(v.string()),
  samplingShell: v.optional(v.string()),
  spareConsoles: v.optional(v.array(v.string())),
  guestAgent: v.optional(v.boolean()),
  login: v.optional(SERIAL_LOGIN),
  display: v.optional(DISPLAY),
} satisfies Record<keyof DirectOptions, v.GenericSchema>);

/**
 * Describes a guest of your own: kernel, initrd and disks as files.
 * @throws {USAGE} for an unknown or invalid option
 */
export function direct(options: DirectOptions): GuestDescription {
  validate(DIRECT_OPTIONS, options, 'direct: options');
  const ids = (options.disks ?? []).map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw new QmpilotError('USAGE', `direct: options.disks: two disks have the id "${twice}"`);
  const name = options.name ?? 'direct';
  return {
    name,
    async prepare() {
      const { virtioConsoles = [], shell, samplingShell, spareConsoles = [], ports = [] } = options;
      for (const named of [shell, samplingShell, ...spareConsoles]) {
        if (named === undefined || virtioConsoles.includes(named)) continue;
        throw new QmpilotError('USAGE', `${named} is not among the virtio consoles of the guest ${name}`, {
          hint: `name it: virtioConsoles: ['${named}']`,
        });
      }
      const disks = (options.disks ?? []).map((disk) => ({ ...disk, file: resolve(disk.file) }));
      const kernel = options.kernel && resolve(options.kernel);
      const initrd = options.initrd && resolve(options.initrd);
      if (!kernel && disks.length === 0)
        throw new QmpilotError('USAGE', `the guest ${name} has neither a kernel nor a disk to boot from`);
      const { createHash } = await import('node:crypto');
      const key = createHash('sha256').update(JSON.stringify(options));
      for (const file of [kernel, initrd, ...disks.map((disk) => disk.file)])
        if (file) key.update(await identity(file));
      return {
        name,
        key: key.digest('hex').slice(0, 32),
        ...(kernel && { kernel: { kernel, append: options.append ?? 'console=ttyS0', ...(initrd && { initrd }) } }),
        disks,
        cpus: options.cpus ?? 2,
        memoryMiB: options.memoryMiB ?? 512,
        network: options.network ?? (ports.length > 0 ? 'restricted' : 'none'),
        ...(ports.length > 0 && { ports }),
        virtioConsoles,
        ...(shell && { shell }),
        ...(samplingShell && { samplingShell }),
        ...(spareConsoles.length > 0 && { spareConsoles }),
        ...(options.guestAgent && { guestAgent: true }),
        ...(options.login && { login: options.login }),
        ...(options.display && { display: options.display }),
      };
    },
  };
}

/** Size and time stand for the content: hashing gigabytes at each start would cost more than it tells. */
async function identity(file: string): Promise<string> {
  try {
    await access(file, constants.R_OK);
    const { size, mtimeMs } = await stat(file);
    return `${file}\0${size}\0${mtimeMs}\0`;
  } catch (cause) {
    throw new QmpilotError('USAGE', `${file} cannot be read`, {
      cause,
      hint: 'check the paths of kernel, initrd and disks',
    });
  }
}
