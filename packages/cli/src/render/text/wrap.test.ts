import { expect, it } from 'vitest';
import { wrapText } from './wrap.js';

it('joins and wraps the lines of a paragraph, and leaves examples as they are', () => {
  const text = 'one two three\nfour five\n\n  qmpilot exec web uname -r and more\n\nsix';
  expect(wrapText(text, 10)).toBe('one two\nthree four\nfive\n\n  qmpilot exec web uname -r and more\n\nsix');
});
