import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { countPages } from './pagemap.js';
import { applyPages, batchesOf, PLACE } from './pages-file.js';

it('divides runs into batches of 256 pages, none of them lost', () => {
  const batches = [
    ...batchesOf([
      { first: 10, count: 250, address: 0 },
      { first: 5000, count: 300, address: 0x10_0000 },
    ]),
  ];
  expect(batches).toEqual([
    [
      { first: 10, count: 250, address: 0 },
      { first: 5000, count: 6, address: 0x10_0000 },
    ],
    [{ first: 5006, count: 256, address: 0x10_0000 + 6 * 4096 }],
    [{ first: 5262, count: 38, address: 0x10_0000 + 262 * 4096 }],
  ]);
});

describe('a file of pages', () => {
  const RAM_PAGES = 4000;
  let dir: string;
  beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'qmpilot-pages-'))));
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  /** Page N of it has the byte N % 251; `apply` writes it to RAM of zeros. */
  function pagesFile(runs: readonly { first: number; count: number }[]) {
    const path = join(dir, 'pages');
    const count = countPages(runs.map((run) => ({ ...run, address: 0 })));
    const places = Buffer.alloc(runs.length * PLACE);
    for (const [index, run] of runs.entries()) {
      places.writeUInt32LE(run.first, index * PLACE);
      places.writeUInt32LE(run.count, index * PLACE + 4);
    }
    writeFileSync(
      path,
      Buffer.concat([...Array.from({ length: count }, (_, page) => Buffer.alloc(4096, page % 251)), places]),
    );
    const ram = join(dir, 'ram');
    writeFileSync(ram, Buffer.alloc(RAM_PAGES * 4096));
    const apply = async () => {
      const file = await open(ram, 'r+');
      try {
        const target = { file, address: 0, ramBytes: RAM_PAGES * 4096 };
        await applyPages({ path, count, runs: runs.length }, target, undefined);
      } finally {
        await file.close();
      }
      return readFileSync(ram);
    };
    return { path, apply };
  }

  it('goes to its places in RAM, across batches', async () => {
    const ram = await pagesFile([
      { first: 1, count: 2 },
      { first: 100, count: 1500 },
      { first: 3999, count: 1 },
    ]).apply();
    const pageOf = (page: number) => ram.subarray(page * 4096, (page + 1) * 4096);
    expect(pageOf(0).equals(Buffer.alloc(4096))).toBe(true);
    expect(pageOf(2).equals(Buffer.alloc(4096, 1))).toBe(true);
    for (const page of [100, 353, 354, 1599])
      expect(pageOf(page).equals(Buffer.alloc(4096, (page - 98) % 251))).toBe(true);
    expect(pageOf(1600).equals(Buffer.alloc(4096))).toBe(true);
    expect(pageOf(3999).equals(Buffer.alloc(4096, 1502 % 251))).toBe(true);
  });

  it('is refused when it is cut off, or has a page beyond the RAM', async () => {
    const { path, apply } = pagesFile([{ first: 0, count: 2 }]);
    truncateSync(path, 4096);
    await expect(apply()).rejects.toThrow('wrong size');
    await expect(pagesFile([{ first: RAM_PAGES - 1, count: 2 }]).apply()).rejects.toThrow('do not fit into the RAM');
  });
});
