import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chanceOfAllClean, cleanAttemptsNeeded, cleanAttemptsNeededAfter } from './attempts-needed.js';
import { fisherExact, holm } from './fisher.js';
import { rateDifference, wilsonInterval } from './wilson.js';

const count = (failures: number, clean: number) => ({ failures, attempts: failures + clean });

describe('fisherExact', () => {
  it("gives Fisher's own tea test its 0.486 and 0.243", () => {
    const { twoSided, greater } = fisherExact(count(3, 1), count(1, 3));
    expect(twoSided).toBeCloseTo(34 / 70, 12);
    expect(greater).toBeCloseTo(17 / 70, 12);
  });

  // SciPy 1.17, stats.fisher_exact: two-sided, less, greater.
  it.each([
    [10, 2, 3, 15, 0.0005367241191434357, 0.9999845190186861, 0.000465180943362905],
    [0, 50, 8, 42, 0.00577016201961505, 0.002885081009807525, 1],
    [6, 4, 0, 60, 1.6016353764950933e-6, 1, 1.6016353764950933e-6],
    [1, 99, 9, 91, 0.018487679877476362, 0.009243839938738181, 0.9992289739372822],
    [30, 970, 12, 988, 0.007287953507168595, 0.9986954758654031, 0.0036439767535842976],
  ])('of %i:%i against %i:%i is what SciPy gives', (a, b, c, d, twoSided, less, greater) => {
    const result = fisherExact(count(a, b), count(c, d));
    expect(result.twoSided / twoSided).toBeCloseTo(1, 8);
    expect(result.less / less).toBeCloseTo(1, 8);
    expect(result.greater / greater).toBeCloseTo(1, 8);
  });

  const small = fc.record({ a: fc.nat(7), b: fc.nat(7), c: fc.nat(7), d: fc.nat(7) });

  it('counts the results of all permutations of the attempts, in whole numbers', () => {
    fc.assert(
      fc.property(small, ({ a, b, c, d }) => {
        const choose = (n: bigint, k: bigint): bigint =>
          k < 0n || k > n ? 0n : k === 0n ? 1n : (choose(n - 1n, k - 1n) * n) / k;
        const ways = (k: number) => choose(BigInt(a + c), BigInt(k)) * choose(BigInt(b + d), BigInt(a + b - k));
        let [all, twoSided, less] = [0n, 0n, 0n];
        for (let k = 0; k <= a + c; k += 1) {
          all += ways(k);
          if (ways(k) <= ways(a)) twoSided += ways(k);
          if (k <= a) less += ways(k);
        }
        const result = fisherExact(count(a, b), count(c, d));
        expect(result.twoSided).toBeCloseTo(Number(twoSided) / Number(all), 9);
        expect(result.less).toBeCloseTo(Number(less) / Number(all), 9);
      }),
    );
  });

  it.each([
    [5, 3],
    [-1, 3],
    [1.5, 3],
    [0, -1],
    [NaN, 3],
    [1, Infinity],
  ])('refuses %d failures in %d attempts', (failures, attempts) => {
    const impossible = { failures, attempts };
    for (const use of [
      () => fisherExact(impossible, count(0, 3)),
      () => fisherExact(count(0, 3), impossible),
      () => wilsonInterval(failures, attempts),
      () => rateDifference(count(0, 3), impossible),
    ]) {
      expect(use).toThrow(expect.objectContaining({ code: 'USAGE' }));
    }
  });

  it('does not care which run comes first, and never exceeds 1', () => {
    fc.assert(
      fc.property(small, ({ a, b, c, d }) => {
        const [one, other] = [fisherExact(count(a, b), count(c, d)), fisherExact(count(c, d), count(a, b))];
        expect(one.twoSided).toBeCloseTo(other.twoSided, 12);
        expect(one.less).toBeCloseTo(other.greater, 12);
        expect(one.twoSided).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('holm', () => {
  it('multiplies the smallest by the number of tests, the next by one less, and keeps their order', () => {
    expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02]);
    expect(holm([0.9])).toEqual([0.9]);
    expect(holm([0.6, 0.7])).toEqual([1, 1]);
  });
});

describe('cleanAttemptsNeeded', () => {
  // The "success run" table of reliability engineering: n = ln(1 - C) / ln(R).
  it.each([
    [0.1, 0.9, 22],
    [0.1, 0.95, 29],
    [0.05, 0.95, 59],
    [0.01, 0.95, 299],
    [0.01, 0.99, 459],
    [0.03, 0.99, 152],
    [0.001, 0.95, 2995],
    [0.5, 0.75, 2],
    [0.9, 0.9, 1],
  ])('for a rate of %d at %d is %i', (rate, confidence, attempts) =>
    expect(cleanAttemptsNeeded(rate, confidence)).toBe(attempts),
  );

  it('is the first number that is enough', () => {
    const share = fc.double({ min: 0.001, max: 0.999, noNaN: true });
    fc.assert(
      fc.property(share, share, (rate, confidence) => {
        const needed = cleanAttemptsNeeded(rate, confidence);
        expect(chanceOfAllClean(rate, needed)).toBeLessThanOrEqual((1 - confidence) * (1 + 1e-9));
        if (needed > 1) expect(chanceOfAllClean(rate, needed - 1)).toBeGreaterThan((1 - confidence) * (1 - 1e-9));
      }),
    );
  });

  it.each([
    [0, 0.9],
    [1, 0.9],
    [0.1, 1],
    [NaN, 0.9],
    [1e-12, 0.9],
  ])('refuses a rate of %d at %d', (rate, confidence) => {
    expect(() => cleanAttemptsNeeded(rate, confidence)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('cleanAttemptsNeededAfter', () => {
  it('is the first number at which the exact test, two-sided as in a report, sees the rate go down', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.nat(40),
        fc.constantFrom(0.9, 0.95, 0.99),
        (failures, clean, confidence) => {
          const before = count(failures, clean);
          const needed = cleanAttemptsNeededAfter(before, confidence);
          expect(fisherExact(before, count(0, needed)).twoSided).toBeLessThanOrEqual((1 - confidence) * (1 + 1e-9));
          if (needed > 1)
            expect(fisherExact(before, count(0, needed - 1)).twoSided).toBeGreaterThan((1 - confidence) * (1 - 1e-9));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('needs something that failed before', () => {
    expect(() => cleanAttemptsNeededAfter(count(0, 10), 0.95)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
