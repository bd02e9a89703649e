import { appendFileSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildDebianImage } from '@qmpilot/core';
import { ROOT } from './nix-harness.js';

export interface StartScript {
  readonly root?: 'disk' | 'tmpfs';
  readonly shares?: 'on' | 'off';
  readonly graphics?: 'on' | 'off';
  /** An empty qcow2 as `virtualisation.emptyDiskImages` makes it. */
  readonly emptyDisk?: 'on' | 'off';
  /** As `virtualisation.qemu.options`: words of the shell. */
  readonly options?: string;
  /** As `virtualisation.diskImage`. */
  readonly diskImage?: string;
}

/** Writes `bin/run-nixos-vm` into a folder; it boots the Debian guest. */
export async function writeStartScript(folder: string, settings: StartScript = {}): Promise<string> {
  const image = await buildDebianImage({ defect: 'io-uring-lock-leak' });
  const { root = 'disk', shares = 'off', graphics = 'off', emptyDisk = 'off', options = '', diskImage = './nixos.qcow2' } = settings;
  mkdirSync(join(folder, 'bin'), { recursive: true });
  let { initrd } = image;
  if (root === 'tmpfs') {
    initrd = join(folder, 'initrd');
    copyFileSync(image.initrd, initrd);
    appendFileSync(initrd, archive('init', TMPFS_INIT));
  }
  const values = {
    qemu_img: 'qemu-img', qemu: process.env['QMPILOT_QEMU'] || 'qemu-system-x86_64', kernel: image.kernel, initrd, image: image.disk,
    name: 'nixos', memory: '768', cores: '2', root, shares, graphics, empty_disk: emptyDisk, options, disk_image: diskImage,
  };
  const header = Object.entries(values).map(([name, value]) => `${name}='${value.replaceAll("'", `'\\''`)}'`);
  const path = join(folder, 'bin', 'run-nixos-vm');
  writeFileSync(path, ['#!/bin/bash', ...header, readFileSync(join(ROOT, 'tests/nix/start-script.sh'), 'utf8')].join('\n'), { mode: 0o755 });
  return path;
}

/** The root is a tmpfs over what the store's disk holds, as on a NixOS with `virtualisation.diskImage = null`. */
const TMPFS_INIT = `#!/bin/busybox sh
export PATH=/bin
busybox mount -t devtmpfs dev /dev
while read -r module; do busybox insmod "/modules/$module"; done < /modules/order
until [ -b /dev/vda ]; do busybox sleep 0.1; done
busybox mkdir -p /store /memory
busybox mount -t ext4 -o ro /dev/vda /store
busybox insmod /store/lib/modules/*/kernel/fs/overlayfs/overlay.ko
busybox mount -t tmpfs -o mode=755 root /memory
busybox mkdir /memory/upper /memory/work
busybox mount -t overlay -o lowerdir=/store,upperdir=/memory/upper,workdir=/memory/work root /root
exec busybox switch_root /root /sbin/init
`;

/** A cpio archive (newc) with one executable file: the kernel lays it over those before it. */
function archive(name: string, content: string): Buffer {
  const entry = (entryName: string, data: Buffer, mode: number) => {
    const fields = [1, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, entryName.length + 1, 0];
    const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${entryName}\0`;
    return Buffer.concat([padded(Buffer.from(head)), padded(data)]);
  };
  const padded = (data: Buffer) => Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
  return Buffer.concat([entry(name, Buffer.from(content), 0o100755), entry('TRAILER!!!', Buffer.alloc(0), 0)]);
}
