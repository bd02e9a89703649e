import * as v from 'valibot';
import { QmpilotError } from '../../errors.js';
import { PATH } from '../../util/validation/schemas.js';
import { diskBytes, DISK_SIZE_OPTION } from './disk-size.js';

/** Kernel modules that give a stock kernel a known bug: the folders of guest/modules. */
export type Defect = 'io-uring-unlocked-flush';

export const DEFECTS: readonly Defect[] = ['io-uring-unlocked-flush'];

/** What is in a Debian image. */
export interface DebianImageOptions {
  /** Build this kernel module into the image; /usr/lib/qmpilot/load-defect loads it. Default none; for bookworm only. */
  readonly defect?: Defect | undefined;
  /** Release of Debian: `bookworm` (default), `trixie`, `sid`, or any other that the mirror of this host has. */
  readonly suite?: string | undefined;
  /** Debian packages to install, with what they depend on. */
  readonly packages?: readonly string[] | undefined;
  /**
   * Path of a script that runs once, as root, while the image is made: in the file system of the image, by the programs of the
   * image, at the host's speed and with the host's network. No service runs then.
   */
  readonly setup?: string | undefined;
  /** Files and folders of the host that are copied into the image before `setup` runs, by their absolute path in the guest. */
  readonly files?: Readonly<Record<string, string>> | undefined;
  /** Size of the root file system, at least `2G`, the default: `8G`, `3000M`. What is not used takes no room on the host. */
  readonly diskSize?: string | undefined;
}

export const SUITE = v.custom<string>(
  (value) => typeof value === 'string' && /^[a-z][a-z0-9.-]{0,40}$/.test(value),
  "expected the name of a Debian release, such as 'bookworm' or 'trixie'",
);
const PACKAGE = v.custom<string>(
  (value) => typeof value === 'string' && /^[a-z0-9][a-z0-9+.-]+(?::[a-z0-9]+)?(?:[=/][\w.+~:-]+)?$/.test(value),
  "expected the name of a Debian package, such as 'postgresql' or 'nginx=1.22.1-9'",
);
/** Folders of an image whose contents the guest does not see: other file systems are mounted over them. */
const MOUNTED = /^\/(?:dev|proc|run|sys|tmp)(?:\/|$)/;
export const GUEST_PATH = v.custom<string>(
  (value) =>
    typeof value === 'string' &&
    /^\/[^\0\n\t]*[^/\0\n\t]$/.test(value) &&
    !/\/\.{0,2}(?:\/|$)/.test(value) &&
    !MOUNTED.test(value),
  "expected an absolute path in the guest, such as '/etc/demo.conf', and none in /dev, /proc, /run, /sys or /tmp",
);

/** The schemas of `DebianImageOptions`. */
export const IMAGE_ENTRIES = {
  defect: v.optional(v.picklist(DEFECTS)),
  suite: v.optional(SUITE),
  packages: v.optional(v.array(PACKAGE)),
  setup: v.optional(PATH),
  files: v.optional(v.record(GUEST_PATH, PATH)),
  diskSize: v.optional(DISK_SIZE_OPTION),
} satisfies Record<keyof DebianImageOptions, v.GenericSchema>;

export const DEFAULT_SUITE = 'bookworm';
/** Size of the base's root file system; an image holds only what is used of it. */
export const BASE_DISK_SIZE = '2G';

/** @throws {USAGE} for options that are valid each, and impossible together */
export function checkImageOptions({ defect, suite, packages, diskSize }: DebianImageOptions, name: string): void {
  if (defect !== undefined && (suite ?? DEFAULT_SUITE) !== DEFAULT_SUITE)
    throw new QmpilotError('USAGE', `${name}.defect: ${defect} is for the kernel of ${DEFAULT_SUITE}, not of ${suite}`);
  const kernel = packages?.find((each) => each.startsWith('linux-image-'));
  if (kernel !== undefined)
    throw new QmpilotError(
      'USAGE',
      `${name}.packages: ${kernel} is a kernel, which a guest does not boot from its disk`,
      {
        hint: `boot it by the option kernel: '${kernel}'`,
      },
    );
  if (diskSize !== undefined && diskBytes(diskSize) < diskBytes(BASE_DISK_SIZE))
    throw new QmpilotError('USAGE', `${name}.diskSize: ${diskSize} is less than ${BASE_DISK_SIZE}, which Debian needs`);
}

/** `debian`, `debian+io-uring-unlocked-flush`, `debian-trixie`. */
export function imageName({ defect, suite = DEFAULT_SUITE }: DebianImageOptions): string {
  const name = suite === DEFAULT_SUITE ? 'debian' : `debian-${suite}`;
  return defect === undefined ? name : `${name}+${defect}`;
}
