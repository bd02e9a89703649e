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
}

const BANNER = 'Linux version ';
const MAX_BANNER = 512;
const BTF_HEADER = Buffer.from('9feb010018000000', 'hex');
/** Of a whole kernel; that of a module is smaller. */
const MIN_BTF = 200_000;
/** Places that look like the beginning of type information. */
const MAX_BTF_PLACES = 16;
/** Page tables that are searched: those of the first CPU are the kernel's, or have them beside them, as soon as it has booted. */
const MAX_TABLES = 4;

/**
 * Finds the kernel in a guest's memory: its symbols, which hold where KASLR has put it, and its type information.
 * @param btf the kernel's type information where the kernel has none in memory
 * @throws {USAGE} when there is no Linux kernel for x86-64, or none with symbols and types
 */
export function findKernel(memory: PhysicalMemory, cpus: readonly CpuRegisters[], btf?: Btf): KernelIdentity {
  for (const table of pageTables(memory, cpus)) {
    const parts = readKernelImage(memory, table);
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
    return { banner, symbols, btf: types };
  }
  throw new QmpilotError('USAGE', "cannot find a Linux kernel in the guest's memory", {
    hint: 'supported are kernels for x86-64 with CONFIG_KALLSYMS_ALL, once they have begun to boot',
  });
}

/**
 * A reader of the kernel's memory as it is now; undefined when this kernel is not there: a guest that rebooted has it elsewhere.
 * Tables without the kernel's data are passed over: of a CPU in user space with page-table isolation, which may have the image's read-only part.
 */
export function openKernel(
  memory: PhysicalMemory,
  cpus: readonly CpuRegisters[],
  { banner, symbols, btf }: KernelIdentity,
): KernelReader | undefined {
  const [bannerAt, dataAt] = [symbols.address('linux_banner'), symbols.address('init_task')];
  if (bannerAt === undefined || dataAt === undefined) return undefined;
  for (const table of pageTables(memory, cpus)) {
    const kernel = new KernelMemory(memory, table);
    if (kernel.text(bannerAt, MAX_BANNER) === banner && kernel.u64(dataAt) !== undefined)
      return new KernelReader(kernel, btf);
  }
  return undefined;
}

/** The page tables of the CPUs, each once, those of the kernel as well where page-table isolation keeps them apart. */
function* pageTables(memory: PhysicalMemory, cpus: readonly CpuRegisters[]): Generator<PageTable> {
  const roots = new Set<bigint>();
  for (const cpu of cpus) {
    for (const isolated of [false, true]) {
      const table = new PageTable(memory, cpu, isolated);
      if (roots.has(table.root)) continue;
      if (roots.size === MAX_TABLES) return;
      roots.add(table.root);
      yield table;
    }
  }
}

function findBtf(parts: readonly ImagePart[], symbols: SymbolTable): Btf | undefined {
  let tried = 0;
  const [start, stop] = [symbols.address('__start_BTF'), symbols.address('__stop_BTF')];
  for (const { address, bytes } of parts) {
    if (start !== undefined && stop !== undefined) {
      const from = Number(start - address);
      if (from < 0 || from >= bytes.length) continue;
      return Btf.parse(bytes.subarray(from, from + Number(stop - start)));
    }
    for (let at = bytes.indexOf(BTF_HEADER); at !== -1; at = bytes.indexOf(BTF_HEADER, at + 1)) {
      if (bytes.length - at < MIN_BTF || bytes.readUInt32LE(at + 12) < MIN_BTF) continue;
      if ((tried += 1) > MAX_BTF_PLACES) return undefined;
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
  return part.bytes.toString('latin1', from, Math.min(end === -1 ? from + MAX_BANNER : end, from + MAX_BANNER));
}
