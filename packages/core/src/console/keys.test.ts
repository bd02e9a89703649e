import { describe, expect, it } from 'vitest';
import { keyBytes } from './keys.js';

describe('keyBytes', () => {
  it.each([
    ['Enter', '\r'],
    ['Escape', '\x1b'],
    ['BSpace', '\x7f'],
    ['x', 'x'],
    ['S-x', 'X'],
    ['\u00e9', '\u00e9'],
    ['-', '-'],
    ['C-b', '\x02'],
    ['C-[', '\x1b'],
    ['C-Space', '\0'],
    ['C-?', '\x7f'],
    ['C-/', '\x1f'],
    ['C-6', '\x1e'],
    ['C--', undefined],
    ['M-x', '\x1bx'],
    ['M-Enter', '\x1b\r'],
    ['C-M-c', '\x1b\x03'],
    ['S-Tab', '\x1b[Z'],
    ['BTab', '\x1b[Z'],
    ['Up', '\x1b[A'],
    ['C-Right', '\x1b[1;5C'],
    ['S-M-End', '\x1b[1;4F'],
    ['PageUp', '\x1b[5~'],
    ['PgDn', '\x1b[6~'],
    ['C-Delete', '\x1b[3;5~'],
    ['F1', '\x1bOP'],
    ['S-F1', '\x1b[1;2P'],
    ['F5', '\x1b[15~'],
    ['C-F12', '\x1b[24;5~'],
    ['Entre', undefined],
    ['', undefined],
    ['C-', undefined],
    ['C-Enter', undefined],
  ])('%s', (key, bytes) => {
    if (bytes === undefined) expect(() => keyBytes(key)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    else expect(keyBytes(key)).toBe(bytes);
  });

  it('gives cursor keys the codes that a program in application mode waits for, with a modifier the plain ones', () => {
    expect(keyBytes('Up', { applicationCursor: true })).toBe('\x1bOA');
    expect(keyBytes('Home', { applicationCursor: true })).toBe('\x1bOH');
    expect(keyBytes('C-Up', { applicationCursor: true })).toBe('\x1b[1;5A');
  });
});
