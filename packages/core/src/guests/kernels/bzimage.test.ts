import { describe, expect, it } from 'vitest';
import { readBootImage } from './bzimage.js';

function bzImage({ xloadflags = 1 } = {}): Buffer {
  const bytes = Buffer.alloc(4096);
  bytes[0x1f1] = 1;
  bytes.write('HdrS', 0x202, 'latin1');
  bytes.writeUInt16LE(0x300, 0x20e);
  bytes.writeUInt16LE(xloadflags, 0x236);
  bytes.write('6.1.0-50-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP\0', 0x500, 'latin1');
  bytes.writeUInt32LE(512, 0x248);
  bytes.writeUInt32LE(4, 0x24c);
  bytes.write('DATA', 2 * 512 + 512, 'latin1');
  return bytes;
}

describe('readBootImage', () => {
  it('gives the release and the compressed kernel', () => {
    const { release, payload } = readBootImage(bzImage(), 'bzImage');
    expect(release).toBe('6.1.0-50-cloud-amd64');
    expect(payload.toString()).toBe('DATA');
  });

  it.each([
    ['a kernel for 32-bit x86', bzImage({ xloadflags: 0 }), /32-bit x86.*x86-64/],
    ['a kernel for arm64', Buffer.concat([Buffer.alloc(0x38), Buffer.from('ARM\x64'), Buffer.alloc(4096)]), /arm64/],
    ['a compressed EFI kernel for arm64', efi(0xaa64), /for arm64, and the guest is for x86-64/],
    ['an EFI program for x86-64', efi(0x8664), /not a Linux kernel image/],
    ['an EFI program without its header', efi(0xaa64).subarray(0, 0x42), /not a Linux kernel image/],
    ['an ELF kernel for s390x', elf(22), /s390x/],
    ['vmlinux', elf(62), /not a Linux kernel image/],
    ['a text', Buffer.from('#!/bin/sh\n'), /not a Linux kernel image/],
    ['an empty file', Buffer.alloc(0), /not a Linux kernel image/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => readBootImage(bytes, '/tmp/image')).toThrow(message);
  });
});

function elf(machine: number): Buffer {
  const bytes = Buffer.alloc(4096);
  bytes.write('\x7fELF\x02', 'latin1');
  if (machine === 22) {
    bytes[5] = 2;
    bytes.writeUInt16BE(machine, 18);
  } else {
    bytes[5] = 1;
    bytes.writeUInt16LE(machine, 18);
  }
  return bytes;
}

function efi(machine: number): Buffer {
  const bytes = Buffer.alloc(4096);
  bytes.write('MZ\0\0zimg', 'latin1');
  bytes.writeUInt32LE(0x40, 0x3c);
  bytes.write('PE\0\0', 0x40, 'latin1');
  bytes.writeUInt16LE(machine, 0x44);
  return bytes;
}
