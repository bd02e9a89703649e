import { expect, it } from 'vitest';
import { Btf } from './btf.js';

const STRUCT = 4;

/** Type information of these types, each some words, and strings. */
function btfOf(types: readonly (readonly number[])[], strings: Buffer): Buffer {
  const words = types.flat();
  const bytes = Buffer.alloc(24 + words.length * 4);
  bytes.writeUInt16LE(0xeb9f, 0);
  bytes.writeUInt8(1, 2);
  for (const [place, word] of [24, 0, words.length * 4, words.length * 4, strings.length].entries())
    bytes.writeUInt32LE(word, 4 + place * 4);
  for (const [place, word] of words.entries()) bytes.writeUInt32LE(word, 24 + place * 4);
  return Buffer.concat([bytes, strings]);
}

it('ends at a struct that holds itself many times without a name', () => {
  const members = Array.from({ length: 5000 }, () => [0, 1, 0]).flat();
  const btf = Btf.parse(btfOf([[1, (STRUCT << 24) | 5000, 8, ...members]], Buffer.from('\0endless\0')));
  expect(btf?.member('endless', 'any')).toBeUndefined();
  expect(btf?.size('endless')).toBe(8);
});

it('takes no text for a name that is longer than any of the kernel', () => {
  // Each begins a character further in the one string.
  const types = Array.from({ length: 20_000 }, (_, index) => [1 + index, STRUCT << 24, 8]);
  const btf = Btf.parse(btfOf(types, Buffer.from(`\0${'a'.repeat(1_000_000)}\0short\0`)));
  expect(btf?.has('a'.repeat(1_000_000))).toBe(false);
  expect(Btf.parse(btfOf([[3, STRUCT << 24, 8]], Buffer.from('\0a\0short\0')))?.has('short')).toBe(true);
});

it('reads no more parameters of a function than a function has', () => {
  const [POINTER, FUNCTION, PROTOTYPE] = [2, 12, 13];
  const parameters = Array.from({ length: 60_000 }, () => [0, 2]).flat();
  const types = [
    [1, STRUCT << 24, 8],
    [0, POINTER << 24, 1],
    [0, (PROTOTYPE << 24) | 60_000, 0, ...parameters],
    [3, FUNCTION << 24, 3],
  ];
  expect(Btf.parse(btfOf(types, Buffer.from('\0s\0f\0')))?.parameters('f')).toHaveLength(32);
});
