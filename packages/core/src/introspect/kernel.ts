import { QmpilotError } from '../errors.js';
import { Btf } from './btf/btf.js';
import type { CpuRegisters } from './cpu/registers.js';
import { KernelReader } from './kernel-types.js';
import { KernelMemory } from './memory/kernel-memory.js';
import { PageTable } from './memory/page-table.js';
import type { PhysicalMemory } from './memory/physical-memory.js';
import { readKallsyms } from './symbols/kallsyms.js';
import { readKernelImage, type ImagePart } from './symbols/kernel-image.js';
import type { SymbolTable } from './symbols/symbol-table.js';

/** What stays the same as long as a kernel runs, read once: its symbols, its types, its banner. */
export interface KernelIdentity {
  /** `Linux version 6.1.0-56-cloud-amd64 (debian-kernel@...) ...`; text of the guest. */
  readonly banner: string;
  readonly symbols: SymbolTable;
  readonly btf: Btf;
  readonly isolated: boolean;
}

const BANNER = 'Linux version ';
const BTF_HEADER = Buffer.from('9feb010018000000', 'hex');
/** Of a whole kernel; that of a module is smaller. */
const MIN_BTF = 200_000;

/**
 * Finds the kernel in a guest's memory: its symbols, which hold where KASLR has put it, and its type information.
 * @param btf the kernel's type information where the kernel has none in memory
 * @throws {USAGE} when there is no Linux kernel for x86-64, or none with symbols and types
 */
export function findKernel(memory: PhysicalMemory, cpus: readonly CpuRegisters[], btf?: Btf): KernelIdentity {
  // A CPU in user space with page-table isolation has tables without the kernel's image.
  for (const isolated of [false, true]) {
    for (const cpu of cpus) {
      const parts = readKernelImage(memory, new PageTable(memory, cpu, isolated));
      const symbols = readKallsyms(parts);
      if (!symbols) continue;
      const banner = textAt(parts, symbols.address('linux_banner'));
      if (!banner.startsWith(BANNER)) continue;
      const types = btf ?? findBtf(parts, symbols);
      if (!types) {
        throw new QmpilotError(
          'USAGE',
          `cannot read the kernel's memory: it has no type information (${banner.slice(0, 80)})`,
          {
            hint: 'build it with CONFIG_DEBUG_INFO_BTF, or name a file with its types as `btf` (--btf): pahole --btf_encode_detached vmlinux.btf vmlinux',
          },
        );
      }
      return { banner, symbols, btf: types, isolated };
    }
  }
  throw new QmpilotError('USAGE', "cannot find a Linux kernel in the guest's memory", {
    hint: 'supported are kernels for x86-64 with CONFIG_KALLSYMS_ALL, once they have begun to boot',
  });
}

/** Whether the memory still holds this kernel at this place: a guest that rebooted has it elsewhere. */
export function holdsKernel(
  physical: PhysicalMemory,
  cpus: readonly CpuRegisters[],
  identity: KernelIdentity,
): boolean {
  const { memory } = openKernel(physical, cpus, identity);
  const at = identity.symbols.address('linux_banner');
  return at !== undefined && memory.text(at, 512) === identity.banner;
}

/** A reader of the kernel's memory as it is now. */
export function openKernel(
  memory: PhysicalMemory,
  cpus: readonly CpuRegisters[],
  { btf, isolated }: Pick<KernelIdentity, 'btf' | 'isolated'>,
): KernelReader {
  const [cpu] = cpus;
  if (!cpu) throw new QmpilotError('USAGE', "cannot read the kernel's memory: the registers of no CPU are known");
  return new KernelReader(new KernelMemory(memory, new PageTable(memory, cpu, isolated)), btf);
}

function findBtf(parts: readonly ImagePart[], symbols: SymbolTable): Btf | undefined {
  const [start, stop] = [symbols.address('__start_BTF'), symbols.address('__stop_BTF')];
  for (const { address, bytes } of parts) {
    if (start !== undefined && stop !== undefined) {
      const from = Number(start - address);
      if (from < 0 || from >= bytes.length) continue;
      return Btf.parse(bytes.subarray(from, from + Number(stop - start)));
    }
    for (let at = bytes.indexOf(BTF_HEADER); at !== -1; at = bytes.indexOf(BTF_HEADER, at + 1)) {
      if (bytes.length - at < MIN_BTF || bytes.readUInt32LE(at + 12) < MIN_BTF) continue;
      const btf = Btf.parse(bytes.subarray(at));
      if (btf) return btf;
    }
  }
  return undefined;
}

function textAt(parts: readonly ImagePart[], at: bigint | undefined): string {
  const part = parts.find(
    ({ address, bytes }) => at !== undefined && at >= address && at < address + BigInt(bytes.length),
  );
  if (!part || at === undefined) return '';
  const from = Number(at - part.address);
  const end = part.bytes.indexOf(0, from);
  return part.bytes.toString('latin1', from, Math.min(end === -1 ? from + 512 : end, from + 512));
}
