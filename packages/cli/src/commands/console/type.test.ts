import { expect, it } from 'vitest';
import { unescape } from './type.js';

it('escapes in a text to be typed mean what they say, and an unknown one is refused', () => {
  expect(unescape('npm ci\\n')).toBe('npm ci\n');
  expect(unescape('a\\\\n\\tb\\e')).toBe('a\\n\tb\x1b');
  expect(() => unescape('C:\\dir')).toThrow(expect.objectContaining({ code: 'USAGE' }));
  expect(() => unescape('end\\')).toThrow(expect.objectContaining({ code: 'USAGE' }));
});
