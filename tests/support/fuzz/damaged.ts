import fc from 'fast-check';

/** What ends a script, an attribute, a code span, a path, an option. */
const EVIL = [
  '</script><script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onload='alert(1)",
  '``` @all',
  ']]>',
  '\u202e\u001b]0;t\u0007',
  '../../x',
  '/etc/passwd',
  'a,b=c',
  'a\0b',
  '__proto__',
  -1,
  1e308,
  Number.MAX_SAFE_INTEGER,
  '',
];

/** A value as it should be, with parts of it exchanged for anything. */
export function damaged(value: unknown): fc.Arbitrary<unknown> {
  return fc
    .array(fc.tuple(fc.nat(), fc.oneof(fc.constantFrom(...EVIL), fc.jsonValue())), { maxLength: 3 })
    .map((changes) =>
      changes.reduce<unknown>(
        (now, [place, other]) => replaceAt(now, { left: place % (1 + count(now)) }, other),
        value,
      ),
    );
}

function count(value: unknown): number {
  return typeof value === 'object' && value !== null
    ? Object.values(value).reduce((sum: number, one) => sum + 1 + count(one), 0)
    : 0;
}

function replaceAt(value: unknown, at: { left: number }, other: unknown): unknown {
  if (at.left-- === 0) return other;
  if (Array.isArray(value)) return value.map((one) => replaceAt(one, at, other));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, replaceAt(one, at, other)]));
}
