import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { median } from './median.js';
import { wilsonInterval } from './wilson.js';

describe('wilsonInterval', () => {
  // R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3.
  it.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])('%i of %i is the interval that Newcombe printed', (successes, trials, low, high) => {
    const [from, to] = wilsonInterval(successes, trials) ?? [];
    expect(from).toBeCloseTo(low, 4);
    expect(to).toBeCloseTo(high, 4);
  });

  it('holds the rate, stays between 0 and 1, and mirrors', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (trials, share) => {
        const successes = Math.round(share * trials);
        const [low, high] = wilsonInterval(successes, trials) ?? [NaN, NaN];
        const [otherLow, otherHigh] = wilsonInterval(trials - successes, trials) ?? [NaN, NaN];
        expect(low).toBeGreaterThanOrEqual(0);
        expect(low).toBeLessThanOrEqual(successes / trials);
        expect(high).toBeGreaterThanOrEqual(successes / trials);
        expect(high).toBeLessThanOrEqual(1);
        expect(otherLow).toBeCloseTo(1 - high, 9);
        expect(otherHigh).toBeCloseTo(1 - low, 9);
      }),
    );
  });

  it('is null when nothing was tried', () => expect(wilsonInterval(0, 0)).toBeNull());
});

describe('median', () => {
  it.each([
    [[], null],
    [[3], 3],
    [[9, 1], 5],
    [[10, 9, 1], 9],
  ])('of %j is %j', (values, expected) => expect(median(values)).toBe(expected));
});
