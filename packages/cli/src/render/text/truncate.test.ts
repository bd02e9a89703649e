import stringWidth from 'string-width';
import { expect, it } from 'vitest';
import { truncate } from './truncate.js';

it('never exceeds the width, also where a wide character is cut', () => {
  for (let width = 0; width < 14; width += 1)
    for (const text of ['漢字漢字漢字', 'a漢字漢字漢字', 'plain text', '\u001b[31mred 漢字\u001b[0m'])
      expect(stringWidth(truncate(text, width))).toBeLessThanOrEqual(width);
  expect(truncate('plain text', 7)).toBe('plain …');
  expect(truncate('plain', 7)).toBe('plain');
});
