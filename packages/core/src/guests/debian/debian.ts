import * as v from 'valibot';
import { QmpilotError } from '../../errors.js';
import { CPUS, MEMORY_MIB, NETWORK, PATH, PORT } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import type { GuestDescription } from '../guest.js';
import { KERNEL_OPTION, type KernelOption } from '../kernels/kernel-option.js';
import { diskBytes, DISK_SIZE_OPTION } from './disk-size.js';
import { APPEND, imageGuest } from './image-guest.js';
import {
  checkImageOptions,
  DEFAULT_SUITE,
  GUEST_PATH,
  IMAGE_ENTRIES,
  imageName,
  type DebianImageOptions,
} from './image-options.js';
import type { SetupStep } from './setup-step.js';

/** The smallest kernel of Debian with 9p: the cloud kernels have none. */
const SHARING_KERNEL = 'linux-image-amd64';

/** How the Debian guest is built and started. */
export interface DebianGuestOptions extends DebianImageOptions {
  /**
   * The kernel to boot, in place of the image's own: the name of a Debian package, or the path of a `.deb`, of a built kernel tree or
   * of a bzImage. Its modules are a read-only disk, so that one image serves all kernels.
   */
  readonly kernel?: KernelOption | undefined;
  /** Virtual CPUs; default 2. */
  readonly cpus?: number;
  /** Default 1024. */
  readonly memoryMiB?: number;
  /** `none` (default); `restricted` has a network card that reaches nobody; `user` reaches what the host does. */
  readonly network?: 'none' | 'restricted' | 'user';
  /** Further, empty disks: /dev/vdb, /dev/vdc, ... Each VM has its own, and they are part of its snapshots. */
  readonly drives?: readonly DriveOptions[];
  /**
   * TCP ports of the guest that free ports of the host's 127.0.0.1 are forwarded to: `vm.forward(port)` gives the URL. Without
   * `network`, the network is `restricted` then.
   */
  readonly ports?: readonly number[];
  /**
   * Folders of the host that the guest mounts. Debian's cloud kernels cannot: without `kernel` the guest boots `linux-image-amd64`
   * then. A guest with a mounted share can be neither saved nor forked: unmount it before (`umount /mnt/src`), mount it again
   * afterwards (`mount /mnt/src`). It does not start from the boot cache.
   */
  readonly share?: readonly ShareOptions[];
}

/** A folder of the host in the guest. */
export interface ShareOptions {
  /** Path of the host's folder. */
  readonly host: string;
  /** Absolute path in the guest, which is made if it does not exist. */
  readonly guest: string;
  /**
   * Let the guest write: new files belong to the user who runs QEMU, and owners, modes and links of the guest are kept in extended
   * attributes. Default false.
   */
  readonly writable?: boolean;
}

/** An empty disk of a guest. */
export interface DriveOptions {
  /** `1G`, `512M`. What is not written takes no room on the host. */
  readonly size: string;
}

const DEBIAN_OPTIONS = v.strictObject({
  ...IMAGE_ENTRIES,
  kernel: v.optional(KERNEL_OPTION),
  cpus: v.optional(CPUS),
  memoryMiB: v.optional(MEMORY_MIB),
  network: v.optional(NETWORK),
  drives: v.optional(
    v.pipe(
      v.array(v.strictObject({ size: DISK_SIZE_OPTION } satisfies Record<keyof DriveOptions, v.GenericSchema>)),
      v.maxLength(16, 'expected at most 16 drives'),
    ),
  ),
  ports: v.optional(v.array(PORT)),
  share: v.optional(
    v.array(
      v.strictObject({ host: PATH, guest: GUEST_PATH, writable: v.optional(v.boolean()) } satisfies Record<
        keyof ShareOptions,
        v.GenericSchema
      >),
    ),
  ),
} satisfies Record<keyof DebianGuestOptions, v.GenericSchema>);

/**
 * The guest of `debian()`, whose `setup` is a script, or in its place `step`.
 * @throws {USAGE} for an unknown or invalid option
 */
export function debianGuest(options: DebianGuestOptions, step?: SetupStep): GuestDescription {
  validate(DEBIAN_OPTIONS, options, 'debian: options');
  checkImageOptions(options, 'debian: options');
  const { ports = [] } = options;
  if (ports.length > 0 && options.network === 'none')
    throw new QmpilotError('USAGE', "debian: options.ports: a guest with network: 'none' has no ports to forward to");
  const name = imageName(options);
  return {
    name,
    withKernel: (kernel) => debianGuest({ ...options, kernel }, step),
    async prepare(context = {}) {
      const { defect, suite, packages, setup, files, diskSize } = options;
      const [{ buildDebianImage }, { touchImage }, { prepareKernel }, { blankDisk }, { sharedFolders }] =
        await Promise.all([
          import('./build.js'),
          import('../image-cache.js'),
          import('../kernels/prepare-kernel.js'),
          import('../blank-disk.js'),
          import('../shares.js'),
        ]);
      const image = await buildDebianImage({ defect, suite, packages, setup, files, diskSize }, context, step);
      await touchImage(image);
      const network = options.network ?? (ports.length > 0 ? 'restricted' : 'none');
      const shares = await sharedFolders(options.share ?? []);
      const wanted = options.kernel ?? (shares.length > 0 ? SHARING_KERNEL : undefined);
      const kernel =
        wanted === undefined
          ? undefined
          : await prepareKernel({
              option: wanted,
              suite: suite ?? DEFAULT_SUITE,
              image,
              network: network !== 'none',
              shares: shares.length > 0,
              context,
            });
      const drives = await Promise.all(
        (options.drives ?? []).map(({ size }) => blankDisk(diskBytes(size), context.cacheDir)),
      );
      const own = imageGuest(image, name);
      return {
        ...own,
        ...(kernel && {
          key: await keyOf(image.key, kernel.key, ...shares.map((share) => JSON.stringify(share))),
          kernelRelease: kernel.release,
          kernel: {
            kernel: kernel.kernel,
            initrd: kernel.initrd,
            // Disks are named in the order of the list below.
            append: kernel.modules === undefined ? APPEND : `${APPEND} qmpilot.modules=${diskName(drives.length + 1)}`,
            fixedAddresses: true,
          },
        }),
        disks: [
          ...own.disks,
          ...drives.map((file, index) => ({ id: `drive${index + 1}`, file, format: 'qcow2' }) as const),
          ...(kernel?.modules === undefined
            ? []
            : [{ id: 'modules', file: kernel.modules, format: 'raw', readOnly: true } as const]),
        ],
        cpus: options.cpus ?? own.cpus,
        memoryMiB: options.memoryMiB ?? own.memoryMiB,
        network,
        ...(ports.length > 0 && { ports }),
        ...(shares.length > 0 && { shares }),
      };
    },
  };
}

async function keyOf(...parts: readonly string[]): Promise<string> {
  const { createHash } = await import('node:crypto');
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 32);
}

/** `/dev/vda` for 0. */
function diskName(index: number): string {
  return `/dev/vd${String.fromCodePoint('a'.charCodeAt(0) + index)}`;
}
