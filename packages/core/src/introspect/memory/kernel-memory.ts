import { QmpilotError } from '../../errors.js';
import type { PageTable } from './page-table.js';
import type { PhysicalMemory } from './physical-memory.js';

const PAGE = 4096;
/** The longest read: the kernel's type information has some 6 MB. */
const MAX_READ = 64 * 2 ** 20;
/** Of one explanation: a hundred times as many as one of a guest with 500 tasks takes. */
const MAX_READS = 20_000_000;

/**
 * The kernel's address space. Pages are read once and kept, so that all that is read of a page is of one moment.
 * A read of what is not mapped gives undefined: the bytes are the guest's, and any pointer may be wild. All reads together
 * have a bound: each list has one, but damaged memory may have long lists within long lists.
 */
export class KernelMemory {
  readonly #physical: PhysicalMemory;
  readonly #table: PageTable;
  readonly #pages = new Map<number, Buffer | undefined>();
  #reads = 0;

  constructor(physical: PhysicalMemory, table: PageTable) {
    this.#physical = physical;
    this.#table = table;
  }

  u64(address: bigint): bigint | undefined {
    const at = Number(address & 0xfffn);
    if (at <= PAGE - 8) return this.#page(address)?.readBigUInt64LE(at);
    return this.bytes(address, 8)?.readBigUInt64LE();
  }

  u32(address: bigint): number | undefined {
    const at = Number(address & 0xfffn);
    if (at <= PAGE - 4) return this.#page(address)?.readUInt32LE(at);
    return this.bytes(address, 4)?.readUInt32LE();
  }

  i32(address: bigint): number | undefined {
    const value = this.u32(address);
    return value === undefined ? undefined : value | 0;
  }

  u16(address: bigint): number | undefined {
    return this.bytes(address, 2)?.readUInt16LE();
  }

  u8(address: bigint): number | undefined {
    return this.#page(address)?.readUInt8(Number(address & 0xfffn));
  }

  /** `length` bytes; undefined unless all of them are mapped. */
  bytes(address: bigint, length: number): Buffer | undefined {
    if (length < 0 || length > MAX_READ) return undefined;
    const parts: Buffer[] = [];
    for (let at = address, left = length; left > 0;) {
      const from = Number(at & 0xfffn);
      const part = this.#page(at)?.subarray(from, from + left);
      if (!part || part.length === 0) return undefined;
      parts.push(part);
      at += BigInt(part.length);
      left -= part.length;
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  /** Bytes up to the first NUL, as text, at most `max` of them. */
  text(address: bigint, max: number): string | undefined {
    let length = max;
    // Memory after the end of a string may not be mapped.
    while (length > 1 && this.#page(address + BigInt(length) - 1n) === undefined) length = length >> 1;
    const bytes = this.bytes(address, length);
    if (!bytes) return undefined;
    const end = bytes.indexOf(0);
    return bytes.toString('latin1', 0, end === -1 ? bytes.length : end);
  }

  #page(address: bigint): Buffer | undefined {
    if ((this.#reads += 1) > MAX_READS) {
      throw new QmpilotError(
        'USAGE',
        `cannot read the kernel's memory: its lists have no end within ${MAX_READS} reads`,
        {
          hint: "the guest's memory is corrupted or was manipulated",
        },
      );
    }
    const number = Number(BigInt.asUintN(64, address) >> 12n);
    if (this.#pages.has(number)) return this.#pages.get(number);
    const physical = this.#table.translate(BigInt.asUintN(64, address) & ~0xfffn);
    const page = physical === undefined ? undefined : this.#physical.read(physical, PAGE);
    this.#pages.set(number, page);
    return page;
  }
}
