import { open } from 'node:fs/promises';
import type { Accelerator } from '../../qemu/accelerator.js';
import type { KernelSpec } from '../../qemu/command-line/machine-spec.js';
import type { QemuBinary } from '../../qemu/host/binary.js';
import type { GuestKernel } from '../guest.js';
import { readBootImage } from './bzimage.js';

/** The header and the version behind it, which the header's 16-bit offset reaches. */
const HEADER_BYTES = 0x200 + 0xffff + 200;

/** Adds to the kernel's command line what this QEMU needs. What it has already is kept. */
export async function completeCommandLine(
  { fixedAddresses, ...kernel }: GuestKernel,
  accelerator: Accelerator,
  { version }: Pick<QemuBinary, 'version'>,
): Promise<KernelSpec> {
  if (accelerator !== 'tcg') return kernel;
  const added = [
    ...(fixedAddresses && version.major < TRANSLATES_ONCE ? ['norandmaps'] : []),
    ...(version.major < 8 && (await usesCmpxchg16b(kernel)) ? ['clearcpuid=cx16'] : []),
  ];
  return { ...kernel, append: [kernel.append, ...added].filter(Boolean).join(' ') };
}

/**
 * TCG of QEMU 7.2 and 8.2 translates code again at each virtual address (7.2 of Debian 12: 2300 blocks for each /bin/true with
 * random addresses; 10.0 and 11.1: none).
 */
const TRANSLATES_ONCE = 9;

/**
 * TCG of QEMU before 8.0 computes the flags of cmpxchg16b from stale state and may set any of them; Linux uses the instruction inline
 * since 6.5. Of 26 boots of Debian's 6.12 under QEMU 7.2, 7 crashed; with `clearcpuid=cx16`, 1 of 76, in code that was just changed
 * (`int3`), which QEMU before 8.1 may run in its old form on several CPUs. A command line that has a `clearcpuid` of its own is kept.
 */
async function usesCmpxchg16b(kernel: KernelSpec): Promise<boolean> {
  if (/(^|\s)clearcpuid=/.test(kernel.append)) return false;
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(await releaseOf(kernel.kernel)) ?? [];
  return Number(major ?? 0) * 1000 + Number(minor ?? 0) >= 6005;
}

/** What `uname -r` will say; empty when the file is no bzImage, or has no version. */
async function releaseOf(path: string): Promise<string> {
  const file = await open(path).catch(() => undefined);
  if (!file) return '';
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
    return readBootImage(buffer.subarray(0, bytesRead), path).release;
  } catch {
    return '';
  } finally {
    await file.close();
  }
}
