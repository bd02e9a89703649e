import { expect, it } from 'vitest';
import { batchesOf } from './copy-pages.js';

it('divides runs into batches of 1024 pages, none of them lost', () => {
  const batches = [
    ...batchesOf([
      { first: 10, count: 1000, address: 0 },
      { first: 5000, count: 1100, address: 0x10_0000 },
    ]),
  ];
  expect(batches).toEqual([
    [
      { first: 10, count: 1000, address: 0 },
      { first: 5000, count: 24, address: 0x10_0000 },
    ],
    [{ first: 5024, count: 1024, address: 0x10_0000 + 24 * 4096 }],
    [{ first: 6048, count: 52, address: 0x10_0000 + 1048 * 4096 }],
  ]);
});
