import { appendFileSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { boot, direct, type Vm } from '@qmpilot/core';
import { buildDebianImage } from '@qmpilot/core/guests';

/** A shell on ttyS0 and nothing else, up within seconds. */
const INIT = `#!/bin/busybox sh
export PATH=/bin PS1='tiny# '
busybox mount -t devtmpfs dev /dev
exec busybox setsid busybox sh -c 'exec busybox sh -i < /dev/ttyS0 > /dev/ttyS0 2>&1'
`;

export interface TinyGuest {
  readonly kernel: string;
  readonly initrd: string;
}

/**
 * The Debian image's kernel, and its initrd with another init over it: the kernel unpacks one archive after the other.
 * @param files further files of the initrd, executable
 */
export async function makeTinyGuest(dir: string, files: Readonly<Record<string, Buffer>> = {}): Promise<TinyGuest> {
  const image = await buildDebianImage({ defect: 'io-uring-unlocked-flush' });
  const initrd = join(dir, 'tiny.img');
  copyFileSync(image.initrd, initrd);
  const members = Object.entries(files).map(([name, data]) => archiveMember(name, data, 0o100755));
  appendFileSync(
    initrd,
    Buffer.concat([
      archiveMember('init', Buffer.from(INIT), 0o100755),
      ...members,
      archiveMember('TRAILER!!!', Buffer.alloc(0), 0),
    ]),
  );
  return { kernel: image.kernel, initrd };
}

/** Boots it with 256 MiB; `dir` is for its files. */
export async function bootTinyGuest(dir: string, { append = '', cpus = 1 } = {}): Promise<Vm> {
  const files = await makeTinyGuest(dir);
  const line = `console=ttyS0 quiet ${append}`;
  return boot(direct({ name: 'tiny', ...files, append: line, cpus, memoryMiB: 256, login: { prompt: /tiny# $/ } }));
}

/** Documentation/driver-api/early-userspace/buffer-format.rst: `newc`, header and data padded to four bytes. */
function archiveMember(name: string, data: Buffer, mode: number): Buffer {
  const fields = [1, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length + 1, 0];
  const head = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`);
  const padded = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
  return Buffer.concat([padded(head), padded(data)]);
}
