import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter } from './line-splitter.js';
import type { SplitLine } from './line-splitter.js';
import { compileLiterals } from './literal-matcher.js';

function split(chunks: readonly Uint8Array[]): SplitLine[] {
  const splitter = new LineSplitter(compileLiterals(['BUG']));
  const lines: SplitLine[] = [];
  for (const chunk of chunks)
    splitter.push(
      chunk,
      () => true,
      (line) => lines.push(line),
    );
  const rest = splitter.end();
  return rest === undefined ? lines : [...lines, rest];
}

const bytes = (text: string) => new TextEncoder().encode(text);

test('lines end at CR and LF alike, and empty ones are left out', () => {
  expect(split([bytes('one\r\n\r\ntwo BUG\rthree')])).toEqual([
    { raw: 'one', hit: false, plain: true },
    { raw: 'two BUG', hit: true, plain: true },
    { raw: 'three', hit: false, plain: true },
  ]);
});

test('of a line without end the last 4096 bytes are kept, and the literal in it is still known', () => {
  const [line] = split([bytes('BUG'), bytes('x'.repeat(100_000)), bytes('end\n')]);
  expect(line?.raw).toBe(`${'x'.repeat(4093)}end`);
  expect(line?.hit).toBe(true);
});

test('a line with terminal sequences is not plain, a tab is', () => {
  expect(split([bytes('\u001b[Ka\nb\tc\n')]).map(({ plain }) => plain)).toEqual([false, true]);
});

test('the cuts between chunks make no difference, long lines included', () => {
  const piece = fc.oneof(
    fc.constantFrom('\n', '\r', '\r\n', 'BUG', 'B', 'UG'),
    fc.nat(6000).map((length) => 'y'.repeat(length)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat(9000), { maxLength: 8 }), (pieces, cuts) => {
      const whole = bytes(pieces.join(''));
      const ends = [...new Set([...cuts.map((cut) => Math.min(cut, whole.length)), whole.length])].sort(
        (a, b) => a - b,
      );
      const chunks = ends.map((end, index) => whole.subarray(ends[index - 1] ?? 0, end));
      expect(split(chunks)).toEqual(split([whole]));
    }),
  );
});
