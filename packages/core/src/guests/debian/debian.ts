import * as v from 'valibot';
import { CPUS, MEMORY_MIB, NETWORK } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import type { GuestDescription } from '../guest.js';
import { touchImage } from '../image-cache.js';
import { buildDebianImage } from './build.js';
import { IMAGE_ENTRIES, imageName, type DebianImageOptions } from './recipe.js';

/** How the Debian guest is built and started. */
export interface DebianOptions extends DebianImageOptions {
  /** Virtual CPUs; default 2. */
  readonly cpus?: number;
  /** Default 1024. */
  readonly memoryMiB?: number;
  /** `none` (default); `restricted` has a network card that reaches nobody; `user` reaches what the host does. */
  readonly network?: 'none' | 'restricted' | 'user';
}

const DEBIAN_OPTIONS = v.strictObject({
  ...IMAGE_ENTRIES,
  cpus: v.optional(CPUS),
  memoryMiB: v.optional(MEMORY_MIB),
  network: v.optional(NETWORK),
} satisfies Record<keyof DebianOptions, v.GenericSchema>);

/**
 * Debian 12 with systemd: root is logged in on ttyS0 and tty1, root shells answer on hvc0 and hvc1, also while
 * a poweroff stalls; tmux, gdb, Node 22.4.1 and npm 10.7.0 are there, and in /root/project what `npm ci` installs offline.
 * The image is built when it is first used, and kept.
 * @throws {USAGE} for an unknown or invalid option
 */
export function debian(options: DebianOptions = {}): GuestDescription {
  validate(DEBIAN_OPTIONS, options, 'debian: options');
  const name = imageName(options);
  return {
    name,
    async prepare(context = {}) {
      const image = await buildDebianImage({ defect: options.defect }, context);
      await touchImage(image);
      return {
        name,
        key: image.key,
        kernelRelease: image.manifest.kernelRelease,
        kernel: {
          kernel: image.kernel,
          initrd: image.initrd,
          append: 'root=/dev/vda rw console=ttyS0 loglevel=7 sysrq_always_enabled=1',
        },
        disks: [{ id: 'root', file: image.disk, format: 'qcow2' }],
        cpus: options.cpus ?? 2,
        memoryMiB: options.memoryMiB ?? 1024,
        network: options.network ?? 'none',
        virtioConsoles: ['hvc0', 'hvc1', 'hvc2', 'hvc3'],
        shell: 'hvc0',
        samplingShell: 'hvc1',
        spareConsoles: ['hvc2', 'hvc3'],
        guestAgent: true,
        login: { prompt: /root@[\w-]+:~# $/ },
      };
    },
  };
}
