import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { safeLine, safeText } from './text-hygiene.js';

describe('safeText', () => {
  it.each([
    ['a\u001b[31mred\u001b[0m', 'ared'],
    ['x\u001b]52;c;ZXZpbA==\u0007y', 'xy'],
    ['x\u001b]0;title\u001b\\y', 'xy'],
    ['a\u202eb', 'a\\u202eb'],
    ['nul\u0000 bell\u0007', 'nul\\x00 bell\\x07'],
    ['one\r\ntwo\rthree', 'one\ntwo\nthree'],
    ['zero\u200bwidth\ufeff', 'zero\\u200bwidth\\ufeff'],
    ['half \ud800 pair 😀', 'half \ufffd pair 😀'],
    ['\u001b\u001b[2J', '\\x1b'],
    ['\u2028', '\\u2028'],
  ])('makes %j into %j', (text, safe) => expect(safeText(text)).toBe(safe));

  it('leaves nothing that a terminal or the direction of text would act on', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.array(fc.constantFrom('\u001b', '[', ']', '31m', '\u009b', '\u0007', '\u202e', 'x'), { maxLength: 12 }),
        (any, pieces) => {
          const safe = safeText(any + pieces.join(''));
          expect(safe).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/);
          expect(() => encodeURIComponent(safe)).not.toThrow();
          expect(safeLine(any)).not.toMatch(/[\n\t]/);
        },
      ),
    );
  });
});
