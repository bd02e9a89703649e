import { describe, expect, it } from 'vitest';
import { TextWindow } from './text-window.js';

describe('TextWindow', () => {
  it('holds the last part of the text, at least its limit and at most twice that, whatever was looked at in between', () => {
    const window = new TextWindow(100);
    let all = '';
    for (let index = 0; index < 500; index += 1) {
      const piece = `${index} `.repeat(index % 31);
      all += piece;
      window.append(piece);
      const held = window.end - window.start;
      expect([window.end, held <= 200, held >= Math.min(100, all.length)]).toEqual([all.length, true, true]);
      if (index % 7 === 0) expect(window.slice(window.start)).toBe(all.slice(window.start));
      if (index % 3 === 0) expect(window.slice(window.end - 10)).toBe(all.slice(-10));
    }
  });

  it('finds text across pieces, and text before the position where the search begins', () => {
    const window = new TextWindow(1000);
    for (const piece of ['on', 'e\nt', 'wo', '\nthree']) window.append(piece);
    expect(window.find('two', 2)).toBe(4);
    expect(window.match(/^two$/gm, 4)?.position).toBe(4);
    expect(window.match(/(?<=e\n)t/g, 4)?.position).toBe(4);
    expect(window.match(/^t/g, 4)).toBeUndefined();
  });

  it('gives lines from the end, also lines longer than what it looks at first', () => {
    const window = new TextWindow(1 << 20);
    window.append(`first\n${'x'.repeat(100_000)}`);
    window.append('\nover\rlast\n');
    expect(window.lastLines(1)).toEqual(['last']);
    expect(window.lastLines(2).map(({ length }) => length)).toEqual([100_000, 4]);
    expect(window.lastLines(9)).toHaveLength(3);
  });
});
