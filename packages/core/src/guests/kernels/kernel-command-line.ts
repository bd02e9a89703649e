import { open } from 'node:fs/promises';
import type { Accelerator } from '../../qemu/accelerator.js';
import type { KernelSpec } from '../../qemu/command-line/machine-spec.js';
import type { QemuBinary } from '../../qemu/host/binary.js';
import { readBootImage } from './bzimage.js';

/** The header and the version behind it, which the header's 16-bit offset reaches. */
const HEADER_BYTES = 0x200 + 0xffff + 200;

/**
 * Adds to the kernel's command line what this QEMU needs. TCG of QEMU before 8.0 computes the flags of cmpxchg16b from stale state
 * and may set any of them; Linux uses the instruction inline since 6.5. Of 26 boots of Debian's 6.12 under QEMU 7.2, 7 crashed; with
 * `clearcpuid=cx16`, 1 of 76, in code that was just changed (`int3`), which QEMU before 8.1 may run in its old form on several CPUs.
 * A command line that has a `clearcpuid` of its own is kept.
 */
export async function completeCommandLine(
  kernel: KernelSpec,
  accelerator: Accelerator,
  { version }: Pick<QemuBinary, 'version'>,
): Promise<KernelSpec> {
  if (accelerator !== 'tcg' || version.major >= 8 || /(^|\s)clearcpuid=/.test(kernel.append)) return kernel;
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(await releaseOf(kernel.kernel)) ?? [];
  if (Number(major ?? 0) * 1000 + Number(minor ?? 0) < 6005) return kernel;
  return { ...kernel, append: `${kernel.append} clearcpuid=cx16`.trimStart() };
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
