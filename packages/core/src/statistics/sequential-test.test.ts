import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { logChoose } from './fisher.js';
import { formatRateGoal, parseRateGoal, parseShare } from './rate-goal.js';
import { logEvidence, SequentialTest } from './sequential-test.js';

const share = fc.double({ min: 0.02, max: 0.98, noNaN: true });

describe('SequentialTest', () => {
  it('shows "rate<0.01@95%" after 329 clean attempts, of which any test needs 299', () => {
    const test = new SequentialTest(parseRateGoal('rate<0.01@95%'));
    expect(test.attemptsLeft('clean')).toBe(329);
    while (test.push(false) === 'open');
    expect(test).toMatchObject({ decision: 'holds', attempts: 329, failures: 0 });
    expect(test.attemptsLeft('clean')).toBeNull();
  });

  it('refutes a rate that is far too high at once, and keeps its word', () => {
    const test = new SequentialTest(parseRateGoal('rate<0.01@95%'));
    expect(test.push(true)).toBe('refuted');
    for (let n = 0; n < 5000; n += 1) test.push(false);
    expect(test.decision).toBe('refuted');
  });

  it('turns the verdicts round for ">"', () => {
    const verdict = (text: string, failed: boolean) => {
      const test = new SequentialTest(parseRateGoal(text));
      while (test.push(failed) === 'open');
      return test.decision;
    };
    expect([verdict('rate>0.3@99%', true), verdict('rate>0.3@99%', false)]).toEqual(['holds', 'refuted']);
  });

  // Every path of attempts is counted: the distribution over undecided counts, attempt by attempt.
  it.each([
    ['rate<0.1@95%', 0.1],
    ['rate<0.3@90%', 0.3],
    ['rate<0.3@90%', 0.45],
    ['rate>0.5@80%', 0.5],
    ['rate>0.5@80%', 0.4],
  ])('says "%s" at a true rate of %d no more often than its confidence allows, however long it looks', (text, rate) => {
    const goal = parseRateGoal(text);
    expect(chances(text, rate, 600).holds).toBeLessThanOrEqual(1 - goal.confidence);
    expect(chances(text, rate, 600).holds).toBeGreaterThan(0);
  });

  it('denies "rate<0.1@95%" at a true rate of 0.1 in at most 5 % as well', () => {
    expect(chances('rate<0.1@95%', 0.0999, 600).refuted).toBeLessThanOrEqual(0.05);
  });

  it('comes to the right verdict nearly always when the rate is a factor of two away', () => {
    expect(chances('rate<0.1@95%', 0.05, 1200).holds).toBeGreaterThan(0.93);
    expect(chances('rate<0.1@95%', 0.2, 1200).refuted).toBeGreaterThan(0.94);
  });

  it('has evidence whose mean is 1 at the limit, which is what bounds its errors', () => {
    fc.assert(
      fc.property(
        share,
        fc.integer({ min: 1, max: 60 }),
        fc.constantFrom('below' as const, 'above' as const),
        (rate, n, side) => {
          let mean = 0;
          for (let k = 0; k <= n; k += 1)
            mean += Math.exp(
              logChoose(n, k) + k * Math.log(rate) + (n - k) * Math.log1p(-rate) + logEvidence(side, rate, k, n),
            );
          expect(mean).toBeCloseTo(1, 8);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('needs as many attempts as it says', () => {
    fc.assert(
      fc.property(
        share,
        fc.constantFrom(0.9, 0.95, 0.99),
        fc.array(fc.boolean(), { maxLength: 20 }),
        fc.boolean(),
        (rate, confidence, before, failing) => {
          const test = new SequentialTest({ relation: '<', rate, confidence });
          for (const failed of before) test.push(failed);
          const left = test.attemptsLeft(failing ? 'failing' : 'clean');
          if (left === null) return;
          for (let n = 1; n < left; n += 1) expect(test.push(failing)).toBe('open');
          expect(test.push(failing)).toBe(failing ? 'refuted' : 'holds');
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('goals', () => {
  it.each([
    ['rate<0.01@95%', { relation: '<', rate: 0.01, confidence: 0.95 }],
    ['rate > 30% @ 0.999', { relation: '>', rate: 0.3, confidence: 0.999 }],
    ['rate<.05', { relation: '<', rate: 0.05, confidence: 0.95 }],
  ])('reads %s, and what it writes reads the same', (text, goal) => {
    expect(parseRateGoal(text)).toEqual(goal);
    expect(parseRateGoal(formatRateGoal(parseRateGoal(text)))).toEqual(goal);
  });

  it.each([
    '',
    'rate',
    'rate=0.1',
    'rate<',
    'rate<0@95%',
    'rate<1@95%',
    'rate<0.1@100%',
    'rate<x',
    'rate<0.1@',
    'rate<0.1 0.2',
    'rate<-0.1',
    'rate<0x1',
  ])('refuses %j', (text) => expect(() => parseRateGoal(text)).toThrow(expect.objectContaining({ code: 'USAGE' })));

  it('reads shares as numbers and as percent', () => {
    expect([parseShare('0.03'), parseShare('3%'), parseShare('3 %'), parseShare('1e-3')]).toEqual([
      0.03, 0.03, 0.03, 0.001,
    ]);
  });
});

/** The exact probabilities of each verdict within `most` attempts. */
function chances(goal: string, rate: number, most: number): { holds: number; refuted: number } {
  const result = { holds: 0, refuted: 0 };
  const { rate: limit, relation, confidence } = parseRateGoal(goal);
  const bound = -Math.log(1 - confidence);
  let open = [1];
  for (let n = 1; n <= most; n += 1) {
    const next = Array.from({ length: n + 1 }, () => 0);
    for (const [k, chance] of open.entries()) {
      if (chance === 0) continue;
      for (const failed of [0, 1]) {
        const mass = chance * (failed ? rate : 1 - rate);
        if (logEvidence('below', limit, k + failed, n) >= bound) result[relation === '<' ? 'holds' : 'refuted'] += mass;
        else if (logEvidence('above', limit, k + failed, n) >= bound)
          result[relation === '<' ? 'refuted' : 'holds'] += mass;
        else next[k + failed] = (next[k + failed] ?? 0) + mass;
      }
    }
    open = next;
  }
  return result;
}
