import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalCdf, normalQuantile } from './normal.js';
import { rateDifference, wilsonInterval } from './wilson.js';

describe('the normal distribution', () => {
  // SciPy 1.17 (Cephes).
  it.each([
    [1e-12, -7.034483825301131],
    [1e-5, -4.264890793922825],
    [0.005, -2.575829303548901],
    [0.025, -1.9599639845400545],
    [0.9, 1.2815515655446004],
    [0.999, 3.090232306167813],
  ])('has its quantile of %d at %d', (p, x) => expect(normalQuantile(p)).toBeCloseTo(x, 9));

  it.each([
    [-4, 3.167124183311986e-5],
    [-1.3, 0.09680048458561036],
    [0.5, 0.6914624612740131],
    [5, 0.9999997133484281],
  ])('is below %d with a probability of %d', (x, p) => expect(normalCdf(x)).toBeCloseTo(p, 13));

  it('is its own inverse', () => {
    fc.assert(
      fc.property(fc.double({ min: -6, max: 4, noNaN: true }), (x) => {
        expect(normalQuantile(normalCdf(x))).toBeCloseTo(x, 6);
      }),
    );
  });
});

describe('wilsonInterval', () => {
  it('is wider for more confidence', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.nat(), (trials, any) => {
        const [low, high] = wilsonInterval(any % (trials + 1), trials, 0.9) ?? [NaN, NaN];
        const [lower, higher] = wilsonInterval(any % (trials + 1), trials, 0.99) ?? [NaN, NaN];
        expect(lower).toBeLessThanOrEqual(low);
        expect(higher).toBeGreaterThanOrEqual(high);
      }),
    );
  });
});

describe('rateDifference', () => {
  // R. G. Newcombe, Statistics in Medicine 17 (1998), 873-890, table II, method 10.
  it.each([
    [56, 70, 48, 80, 0.0524, 0.3339],
    [9, 10, 3, 10, 0.1705, 0.809],
    [5, 56, 0, 29, -0.0381, 0.1926],
    [0, 10, 0, 10, -0.2775, 0.2775],
    [10, 10, 0, 10, 0.6075, 1],
  ])('of %i/%i and %i/%i is the interval that Newcombe printed', (a, m, b, n, low, high) => {
    const { interval } = rateDifference({ failures: a, attempts: m }, { failures: b, attempts: n }) ?? {
      interval: [NaN, NaN],
    };
    expect(interval[0]).toBeCloseTo(low, 4);
    expect(interval[1]).toBeCloseTo(high, 4);
  });
});
