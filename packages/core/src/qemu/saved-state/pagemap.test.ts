import { expect, it } from 'vitest';
import { addRuns, parseMappings, type PageRun } from './pagemap.js';

const OWN = 0x8000_0000;
const OF_FILE = 0xa000_0000;
const SWAPPED = 0x4000_0000;

it('finds the pages that a process has written to, in memory or swapped out', () => {
  const upper = [0, OWN, SWAPPED, OF_FILE, OWN, 0];
  const runs: PageRun[] = [];
  addRuns(new Uint32Array(upper.flatMap((flags) => [1, flags])), 256, 0x7f00_0000_0000, runs);
  expect(runs).toEqual([
    { first: 257, count: 2, address: 0x7f00_0000_1000 },
    { first: 260, count: 1, address: 0x7f00_0000_4000 },
  ]);
});

it('finds the mappings of a file whose path has spaces, by their place in it', () => {
  const maps = [
    '7f0000200000-7f0000400000 rw-p 00200000 00:1b 12    /dev/shm/a b/ram',
    '7f0000000000-7f0000200000 rw-p 00000000 00:1b 12    /dev/shm/a b/ram',
    '7f0000400000-7f0000401000 rw-p 00000000 00:1b 13    /dev/shm/a b/ram2',
    '7f0000500000-7f0000501000 rw-p 00000000 00:00 0 ',
  ].join('\n');
  expect(parseMappings(maps, '/dev/shm/a b/ram')).toEqual([
    { address: 0x7f00_0000_0000, bytes: 0x20_0000, offset: 0 },
    { address: 0x7f00_0020_0000, bytes: 0x20_0000, offset: 0x20_0000 },
  ]);
});
