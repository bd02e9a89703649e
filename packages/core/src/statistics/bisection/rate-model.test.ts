import { describe, expect, it } from 'vitest';
import { logBeta, logGamma } from './log-gamma.js';
import { JEFFREYS, RateModel } from './rate-model.js';

describe('logGamma', () => {
  it('equals the logarithm of the factorial', () => {
    let factorial = 0;
    for (let n = 1; n <= 2000; n += 1) {
      expect(logGamma(n)).toBeCloseTo(factorial, 9);
      factorial += Math.log(n);
    }
  });

  it('knows one half and small arguments', () => {
    expect(logGamma(0.5)).toBeCloseTo(Math.log(Math.PI) / 2, 13);
    // gamma(x) = gamma(x + 1) / x
    expect(logGamma(1e-3)).toBeCloseTo(logGamma(1.001) - Math.log(1e-3), 11);
  });
});

describe('RateModel', () => {
  it('integrates the unknown rate: compared with a sum over rates', () => {
    const model = new RateModel('rate', { alpha: 2, beta: 3 });
    const [failures, attempts, steps] = [4, 15, 200_000];
    let sum = 0;
    for (let i = 0; i < steps; i += 1) {
      const rate = (i + 0.5) / steps;
      sum += (rate ** (failures + 1) * (1 - rate) ** (attempts - failures + 2)) / steps;
    }
    expect(model.logLikelihood({ failures, attempts })).toBeCloseTo(Math.log(sum) - logBeta(2, 3), 8);
  });

  it('predicts what the likelihood says: the chance of n passes is the ratio of two likelihoods', () => {
    for (const model of [new RateModel('rate', JEFFREYS), new RateModel('rate', { rate: 0.3 })]) {
      const seen = { failures: 2, attempts: 9 };
      const survival = model.survival(seen, 20);
      for (let n = 0; n <= 20; n += 1) {
        const ratio = model.logLikelihood({ failures: 2, attempts: 9 + n }) - model.logLikelihood(seen);
        expect(survival[n]).toBeCloseTo(Math.exp(ratio), 10);
      }
    }
  });

  it('rules a failure out where the rate is zero, and nothing else', () => {
    const model = new RateModel('background', { rate: 0 });
    expect(model.logLikelihood({ failures: 0, attempts: 100 })).toBe(0);
    expect(model.logLikelihood({ failures: 1, attempts: 100 })).toBe(-Infinity);
  });

  it.each([{ rate: 1.5 }, { rate: Number.NaN }, { alpha: 0, beta: 1 }])('refuses %j', (prior) => {
    expect(() => new RateModel('rate', prior)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
