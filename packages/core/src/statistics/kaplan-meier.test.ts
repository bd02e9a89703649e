import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { kaplanMeier, type Observation } from './kaplan-meier.js';
import { median } from './median.js';

// Weeks in remission under 6-MP (E. J. Freireich and others, Blood 21, 1963), the example of the textbooks; + is censored.
const SIX_MP = '6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+'
  .split(' ')
  .map((text): Observation => ({ time: Number.parseInt(text, 10), failed: !text.endsWith('+') }));

describe('kaplanMeier', () => {
  it('gives the curve that D. R. Cox and D. Oakes print for the 6-MP group, and its interval as SciPy has it', () => {
    const failed = kaplanMeier(SIX_MP).steps.filter(({ failures }) => failures > 0);
    const expected: readonly (readonly [number, number, number, number])[] = [
      [6, 0.857, 0.6197179552659838, 0.951551747646997],
      [7, 0.807, 0.5631465646222333, 0.9228090192028804],
      [10, 0.753, 0.5031995107999564, 0.8893618351692655],
      [13, 0.69, 0.43161022248618397, 0.8490659633494507],
      [16, 0.627, 0.36751085598750205, 0.8049121894718412],
      [22, 0.538, 0.26777893676713505, 0.7467907176353944],
      [23, 0.448, 0.18805200595923235, 0.6801426284952414],
    ];
    expect(failed.map(({ time }) => time)).toEqual(expected.map(([time]) => time));
    for (const [index, [, survival, low, high]] of expected.entries()) {
      expect(failed[index]?.survival).toBeCloseTo(survival, 3);
      expect(failed[index]?.interval[0]).toBeCloseTo(low, 9);
      expect(failed[index]?.interval[1]).toBeCloseTo(high, 9);
    }
  });

  it('has their median of 23 weeks, from 13 to no end', () => {
    expect(kaplanMeier(SIX_MP)).toMatchObject({ median: 23, medianInterval: [13, null] });
  });

  const observations = fc.array(fc.record({ time: fc.integer({ min: 1, max: 50 }), failed: fc.boolean() }), {
    minLength: 1,
    maxLength: 60,
  });

  it('falls only, stays within its interval, and counts everybody once', () => {
    fc.assert(
      fc.property(observations, (given) => {
        const { steps } = kaplanMeier(given);
        let before = 1;
        for (const { survival, interval } of steps) {
          expect(survival).toBeLessThanOrEqual(before);
          expect(interval[0]).toBeLessThanOrEqual(survival + 1e-12);
          expect(interval[1]).toBeGreaterThanOrEqual(survival - 1e-12);
          before = survival;
        }
        expect(steps.reduce((sum, { failures, censored }) => sum + failures + censored, 0)).toBe(given.length);
      }),
    );
  });

  it('is the plain share that is left, and the plain median, when nothing is censored', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 41 }), (times) => {
        const curve = kaplanMeier(times.map((time) => ({ time, failed: true })));
        for (const { time, survival } of curve.steps)
          expect(survival).toBeCloseTo(times.filter((one) => one > time).length / times.length, 9);
        if (times.length % 2 === 1) expect(curve.median).toBe(median(times));
      }),
    );
  });

  it('is empty for none, and knows no median where too few failed', () => {
    expect(kaplanMeier([])).toEqual({ steps: [], median: null, medianInterval: [null, null] });
    expect(
      kaplanMeier([
        { time: 3, failed: false },
        { time: 4, failed: false },
      ]).median,
    ).toBeNull();
  });
});
