import { expect, it } from 'vitest';
import { wrapLine, wrapLines, wrapText } from './wrap.js';

it('joins and wraps the lines of a paragraph, and leaves examples as they are', () => {
  const text = 'one two three\nfour five\n\n  qmpilot exec web uname -r and more\n\nsix';
  expect(wrapText(text, 10)).toBe('one two\nthree four\nfive\n\n  qmpilot exec web uname -r and more\n\nsix');
});

it('wraps a line, and indents what follows', () => {
  expect(wrapLine('  -> one two three four', 14, '     ')).toBe('  -> one two\n     three\n     four');
  expect(wrapLine('  -> one two three four', Number.POSITIVE_INFINITY, '     ')).toBe('  -> one two three four');
});

it('wraps each line of a text on a terminal only', () => {
  expect(wrapLines('a title\n  one two three\n', 10)).toBe('a title\n  one two\n    three\n');
  expect(wrapLines('a title\n  one two three\n')).toBe('a title\n  one two three\n');
});
