import { describe, expect, it } from 'vitest';
import { PageTable } from './page-table.js';

/** Page tables in 64 KiB of memory: each entry is the table's page, the index, and the value. */
function memoryWith(entries: readonly (readonly [page: number, index: number, value: bigint])[]) {
  const bytes = Buffer.alloc(0x10000);
  for (const [page, index, value] of entries) bytes.writeBigUInt64LE(value, page * 4096 + index * 8);
  return {
    read: (address: number, length: number) =>
      address + length <= bytes.length ? bytes.subarray(address, address + length) : undefined,
  };
}
const ADDRESS = 0xffff_8880_0040_3123n;
const FOUR_LEVELS = [
  [1, 273, 0x2001n],
  [2, 0, 0x3001n],
  [3, 2, 0x4001n],
  [4, 3, 0x8000_0000_0012_3001n],
] as const;

describe('page tables', () => {
  it('translates by four levels, without the bits that are no address', () => {
    const table = new PageTable(memoryWith(FOUR_LEVELS), { cr3: 0x1003n, cr4: 0n }, false);
    expect(table.translate(ADDRESS)).toBe(0x12_3123);
    expect(table.translate(ADDRESS + 0x1000n)).toBeUndefined();
  });

  it('translates by five levels', () => {
    const memory = memoryWith([[6, 511, 0x1001n], ...FOUR_LEVELS]);
    expect(new PageTable(memory, { cr3: 0x6000n, cr4: 1n << 12n }, false).translate(ADDRESS)).toBe(0x12_3123);
  });

  it('translates pages of 2 MiB and 1 GiB', () => {
    const twoMib = memoryWith([FOUR_LEVELS[0], FOUR_LEVELS[1], [3, 2, 0x60_0081n]]);
    expect(new PageTable(twoMib, { cr3: 0x1000n, cr4: 0n }, false).translate(ADDRESS)).toBe(0x60_3123);
    const oneGib = memoryWith([FOUR_LEVELS[0], [2, 0, 0x4000_0081n]]);
    expect(new PageTable(oneGib, { cr3: 0x1000n, cr4: 0n }, false).translate(ADDRESS)).toBe(0x4040_3123);
  });

  it('takes the tables of the kernel where page-table isolation has others for user space', () => {
    const memory = memoryWith([
      [2, 273, 0x3001n],
      [3, 0, 0x4001n],
      [4, 2, 0x60_0081n],
    ]);
    expect(new PageTable(memory, { cr3: 0x3000n, cr4: 0n }, true).translate(ADDRESS)).toBe(0x60_3123);
  });

  it('ends at a table that is nowhere', () => {
    const table = new PageTable(memoryWith([[1, 273, 0xffff_ffff_f001n]]), { cr3: 0x1000n, cr4: 0n }, false);
    expect(table.translate(ADDRESS)).toBeUndefined();
    expect(table.mapped(0xffff_8880_0000_0000n, 0xffff_8880_0100_0000n)).toEqual([]);
  });

  it('joins pages that are next to each other in both address spaces', () => {
    const memory = memoryWith([
      FOUR_LEVELS[0],
      FOUR_LEVELS[1],
      [3, 1, 0x20_0081n],
      [3, 2, 0x40_0081n],
      [3, 3, 0xa0_0081n],
    ]);
    const table = new PageTable(memory, { cr3: 0x1000n, cr4: 0n }, false);
    expect(table.mapped(0xffff_8880_0000_0000n, 0xffff_8880_0100_0000n)).toEqual([
      { address: 0xffff_8880_0020_0000n, physical: 0x20_0000, length: 0x40_0000 },
      { address: 0xffff_8880_0060_0000n, physical: 0xa0_0000, length: 0x20_0000 },
    ]);
  });
});
