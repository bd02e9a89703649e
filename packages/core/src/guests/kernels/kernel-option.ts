import * as v from 'valibot';
import { PATH } from '../../util/validation/schemas.js';

/** A kernel image and the modules that were built with it. */
export interface KernelFilesOption {
  /** A bzImage. */
  readonly image: string;
  /** The folder with its modules: `lib/modules/RELEASE`, as `make modules_install` fills it. Default none. */
  readonly modules?: string | undefined;
}

/**
 * Which kernel a guest boots: the name of a Debian package (`linux-image-6.1.0-53-cloud-amd64`), or the path of a `.deb`, of a
 * kernel tree that was built, or of a bzImage; with modules of its own a bzImage is an object.
 */
export type KernelOption = string | KernelFilesOption;

export const KERNEL_OPTION = v.union(
  [
    PATH,
    v.strictObject({ image: PATH, modules: v.optional(PATH) } satisfies Record<
      keyof KernelFilesOption,
      v.GenericSchema
    >),
  ],
  'expected the name of a Debian package, a path, or { image, modules }',
);

const PACKAGE = /^linux-image-[a-z0-9][a-z0-9+.~-]*$/;

/** Whether a kernel is named by its Debian package. */
export function isKernelPackage(kernel: string): boolean {
  return PACKAGE.test(kernel);
}
