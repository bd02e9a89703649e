import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileLiterals } from './literal-matcher.js';
import type { LiteralMatcher } from './literal-matcher.js';

function findsAny({ columns, next, start, firstHit }: LiteralMatcher, bytes: Uint8Array): boolean {
  let state = start;
  let found = false;
  for (const byte of bytes) {
    state = next[state + (columns[byte] ?? 0)] ?? 0;
    found ||= state >= firstHit;
  }
  return found;
}

test('finds exactly what a search for each literal finds, overlapping and nested literals too', () => {
  const letters = fc.constantFrom('a', 'b', 'c');
  const literal = fc.array(letters, { minLength: 1, maxLength: 5 }).map((all) => all.join(''));
  const text = fc.array(fc.constantFrom('a', 'b', 'c', 'x'), { maxLength: 40 }).map((all) => all.join(''));
  fc.assert(
    fc.property(fc.array(literal, { minLength: 1, maxLength: 6 }), text, (literals, haystack) => {
      const found = findsAny(compileLiterals(literals), new TextEncoder().encode(haystack));
      expect(found).toBe(literals.some((needle) => haystack.includes(needle)));
    }),
    { numRuns: 500 },
  );
});

test('refuses a literal that could never be found within one line', () => {
  expect(() => compileLiterals(['a\nb'])).toThrow(RangeError);
});
