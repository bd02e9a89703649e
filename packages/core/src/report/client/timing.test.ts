import { describe, expect, it } from 'vitest';
import { lastAtMost, parseTiming, timeAt } from './timing.js';

describe('parseTiming', () => {
  it('tells when each byte came', () => {
    const timing = parseTiming('100 0\n250 10\n900 40\n', 50, 1000);
    expect([0, 9, 10, 39, 40, 49].map((byte) => timeAt(timing, byte))).toEqual([100, 100, 250, 250, 900, 900]);
    expect(timing.guessed).toBe(false);
  });

  it('passes over lines that fall, lie behind the end, or are damaged', () => {
    expect(parseTiming('100 0\n50 5\n200 3\n300 1\nx\n400 99\n4', 10, 1000)).toMatchObject({
      at: [100, 200],
      offset: [0, 3],
    });
  });

  it('spreads bytes over the attempt when nothing was recorded, and says so', () => {
    const timing = parseTiming('', 1000, 8000);
    expect(timing.guessed).toBe(true);
    expect(timeAt(timing, 500)).toBe(4000);
    expect(parseTiming('', 0, 8000)).toEqual({ at: [], offset: [], guessed: false });
  });
});

it('lastAtMost finds the last entry that is not above', () => {
  expect([-1, 0, 4, 5, 9].map((value) => lastAtMost([0, 5, 5, 7], value))).toEqual([-1, 0, 0, 2, 3]);
  expect(lastAtMost([], 3)).toBe(-1);
});
