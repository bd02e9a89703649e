/**
 * Guest images and guest descriptions of your own: how the built-in guests are built, found and removed.
 * @module
 */
export { buildDebianImage } from '../guests/debian/build.js';
export type { DebianImageOptions, Defect } from '../guests/debian/image-options.js';
export { debianImageKey } from '../guests/debian/layers.js';
export type { DriveOptions, ShareOptions } from '../guests/debian/debian.js';
export { prepareRootfs } from '../guests/rootfs/prepare-rootfs.js';
export type { RootfsEntry } from '../guests/rootfs/rootfs-files.js';
export { buildKernel } from '../guests/kernels/build/build-kernel.js';
export type { BuildKernelOptions, BuiltKernel } from '../guests/kernels/build/build-kernel.js';
export type { KernelFilesOption, KernelOption } from '../guests/kernels/kernel-option.js';
export { direct } from '../guests/direct.js';
export type { DirectOptions } from '../guests/direct.js';
export type {
  GuestDescription,
  GuestDisk,
  GuestKernel,
  PrepareContext,
  PreparedGuest,
  SerialLogin,
} from '../guests/guest.js';
export { findImage, listImages, removeImages, removeUnusedImages } from '../guests/image-cache.js';
export type { GuestImage, ImageManifest } from '../guests/image-cache.js';
export type { ScriptSpec } from '../guests/nixos/interface.js';
export { nixos } from '../guests/nixos/nixos.js';
export type { NixosCommonOptions, NixosOptions } from '../guests/nixos/nixos.js';
export type { KernelSpec, SharedFolder } from '../qemu/command-line/machine-spec.js';
export { debian } from '../vm/setup/debian.js';
export type { DebianOptions } from '../vm/setup/debian.js';
export type { SetupContext, SetupFunction } from '../vm/setup/setup-function.js';
