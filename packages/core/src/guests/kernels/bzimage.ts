import { QmpilotError } from '../../errors.js';

/** What the header of an x86 boot image says: Documentation/arch/x86/boot.rst. */
export interface BootImage {
  /** What `uname -r` will say. */
  readonly release: string;
  /** The compressed kernel, without the code that unpacks it. */
  readonly payload: Buffer;
}

/**
 * Reads the header of a bzImage.
 * @throws {USAGE} when the file is no Linux kernel for x86-64 that QEMU can load
 */
export function readBootImage(bytes: Buffer, path: string): BootImage {
  const other = otherArchitecture(bytes);
  if (other !== undefined)
    throw new QmpilotError('USAGE', `${path} is a kernel for ${other}, and the guest is for x86-64`, {
      hint: 'build it with ARCH=x86_64, or take the package of Debian whose name ends in amd64',
    });
  if (bytes.length < 0x268 || bytes.toString('latin1', 0x202, 0x206) !== 'HdrS')
    throw new QmpilotError('USAGE', `${path} is not a Linux kernel image`, {
      hint: isElf(bytes)
        ? 'it is an ELF file, perhaps vmlinux: boot arch/x86/boot/bzImage of the same tree'
        : 'expected a bzImage, such as arch/x86/boot/bzImage or /boot/vmlinuz-*',
    });
  // xloadflags, bit 0: the kernel has a 64-bit entry point.
  if ((bytes.readUInt16LE(0x236) & 1) === 0)
    throw new QmpilotError('USAGE', `${path} is a kernel for 32-bit x86, and the guest is for x86-64`, {
      hint: 'set CONFIG_64BIT=y',
    });
  const version = bytes.readUInt16LE(0x20e) + 0x200;
  const text = bytes.toString('latin1', version, version + 200);
  const [, release = ''] = /^([\w.+~-]+)[\s\0]/.exec(text) ?? [];
  const start = ((bytes[0x1f1] ?? 0) + 1) * 512 + bytes.readUInt32LE(0x248);
  return { release, payload: bytes.subarray(start, start + bytes.readUInt32LE(0x24c)) };
}

/** The architecture of a kernel image that is not for x86, as far as it is known. */
function otherArchitecture(bytes: Buffer): string | undefined {
  // Documentation/arch/arm64/booting.rst, Documentation/arch/riscv/boot-image-header.rst.
  if (bytes.toString('latin1', 0x38, 0x3c) === 'ARM\x64') return 'arm64';
  if (bytes.toString('latin1', 0x38, 0x3c) === 'RSC\x05') return 'riscv';
  if (bytes.toString('latin1', 0, 2) === 'MZ' && bytes.length >= 0x40) {
    // A kernel that EFI starts, such as the compressed ones of arm64: the PE header says for which CPU.
    const header = bytes.readUInt32LE(0x3c);
    if (header + 6 > bytes.length || bytes.toString('latin1', header, header + 4) !== 'PE\0\0') return undefined;
    return PE_MACHINES[bytes.readUInt16LE(header + 4)];
  }
  if (!isElf(bytes) || bytes.length < 20) return undefined;
  const machine = bytes[5] === 2 ? bytes.readUInt16BE(18) : bytes.readUInt16LE(18);
  return machine === 62 ? undefined : (ELF_MACHINES[machine] ?? `another architecture (ELF machine ${machine})`);
}

const ELF_MACHINES: Readonly<Record<number, string>> = {
  3: '32-bit x86',
  20: 'powerpc',
  21: 'ppc64',
  22: 's390x',
  40: 'arm',
  183: 'arm64',
  243: 'riscv',
  258: 'loongarch',
};

/** Those that are not x86. */
const PE_MACHINES: Readonly<Record<number, string>> = {
  0x01c2: 'arm',
  0x5032: 'riscv',
  0x5064: 'riscv',
  0x6232: 'loongarch',
  0x6264: 'loongarch',
  0xaa64: 'arm64',
};

function isElf(bytes: Buffer): boolean {
  return bytes.toString('latin1', 0, 4) === '\x7fELF';
}
