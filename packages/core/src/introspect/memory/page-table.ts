import type { PhysicalMemory } from './physical-memory.js';

/** The control registers of a CPU that tell how addresses are translated. */
export interface PagingRegisters {
  readonly cr3: bigint;
  readonly cr4: bigint;
}

/** CR4.LA57: five levels of page tables. Intel SDM, volume 3, 2.5. */
const LA57 = 1n << 12n;
/** Bits 12 to 51 of CR3 and of an entry: the address. Below are PCID and flags, above protection keys and NX. */
const ADDRESS = 0x000f_ffff_ffff_f000n;
/** Page-table isolation keeps the tables of user space in the page behind those of the kernel: arch/x86/include/asm/pgtable.h. */
const USER_TABLES = 1n << 12n;
const PRESENT = 1n;
const LARGE = 1n << 7n;

/** A stretch of pages that are next to each other in both address spaces. */
export interface MappedRange {
  readonly address: bigint;
  readonly physical: number;
  readonly length: number;
}

/** Walks the page tables of an x86-64 guest. */
export class PageTable {
  readonly #memory: PhysicalMemory;
  /** Physical address of the first table. */
  readonly root: bigint;
  readonly #shifts: readonly bigint[];
  readonly #tables = new Map<number, Buffer | undefined>();

  /** @param isolated the guest has page-table isolation: CR3 of a CPU in user space has the kernel's tables beside it */
  constructor(memory: PhysicalMemory, { cr3, cr4 }: PagingRegisters, isolated: boolean) {
    this.#memory = memory;
    this.root = cr3 & ADDRESS & (isolated ? ~USER_TABLES : -1n);
    this.#shifts = (cr4 & LA57) === 0n ? [39n, 30n, 21n, 12n] : [48n, 39n, 30n, 21n, 12n];
  }

  /** The physical address of a virtual one; undefined where nothing is mapped. */
  translate(address: bigint): number | undefined {
    return this.#walk(address)?.physical;
  }

  /** The ranges that are mapped within `[from, to)`, neighbours joined. */
  mapped(from: bigint, to: bigint): MappedRange[] {
    const ranges: MappedRange[] = [];
    for (let at = from; at < to;) {
      const step = this.#walk(at);
      if (!step) {
        at = (at | 0xfffn) + 1n;
        // A table that is missing covers 2 MiB at least.
        if (this.#walk(at) === undefined && !this.#hasTable(at)) at = (at | 0x1f_ffffn) + 1n;
        continue;
      }
      const length = Number(step.size - (at & (step.size - 1n)));
      const last = ranges.at(-1);
      if (last && last.address + BigInt(last.length) === at && last.physical + last.length === step.physical)
        ranges[ranges.length - 1] = { ...last, length: last.length + length };
      else ranges.push({ address: at, physical: step.physical, length });
      at += BigInt(length);
    }
    return ranges;
  }

  /** Whether there is a table of 4 KiB pages for the 2 MiB around `address`. */
  #hasTable(address: bigint): boolean {
    let table = this.root;
    for (const shift of this.#shifts.slice(0, -1)) {
      const entry = this.#entry(table, address, shift);
      if (entry === undefined || (entry & PRESENT) === 0n || (shift < 39n && (entry & LARGE) !== 0n)) return false;
      table = entry & ADDRESS;
    }
    return true;
  }

  #walk(address: bigint): { readonly physical: number; readonly size: bigint } | undefined {
    let table = this.root;
    for (const shift of this.#shifts) {
      const entry = this.#entry(table, address, shift);
      if (entry === undefined || (entry & PRESENT) === 0n) return undefined;
      if (shift === 12n || (shift < 39n && (entry & LARGE) !== 0n)) {
        const size = 1n << shift;
        const physical = (entry & ADDRESS & ~(size - 1n)) | (address & (size - 1n));
        return { physical: Number(physical), size };
      }
      table = entry & ADDRESS;
    }
    return undefined;
  }

  #entry(table: bigint, address: bigint, shift: bigint): bigint | undefined {
    const at = Number(table);
    if (!this.#tables.has(at)) this.#tables.set(at, this.#memory.read(at, 4096));
    return this.#tables.get(at)?.readBigUInt64LE(Number((address >> shift) & 0x1ffn) * 8);
  }
}
