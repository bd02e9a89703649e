import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generator } from '../random.fixture.js';
import { type BisectionEnd, EndsTest, type EndsTestOptions } from './ends-test.js';

function run(fails: (end: BisectionEnd) => boolean, options?: EndsTestOptions): EndsTest {
  const ends = new EndsTest(options);
  for (let end = ends.next(); end; end = ends.next()) ends.observe(end, fails(end));
  return ends;
}

describe('EndsTest', () => {
  it('decides after five failures at the bad end when the good end never fails', () => {
    const ends = run((end) => end === 'bad');
    expect(ends.decision).toBe('differ');
    expect(ends.counts).toEqual({ bad: { failures: 5, attempts: 5 }, good: { failures: 0, attempts: 5 } });
    expect(ends.describe()).toBe('the bad end fails more often: 5 of 5 at the bad end, 0 of 5 at the good end');
  });

  it('notices that the ends are swapped', () => {
    const ends = run((end) => end === 'good');
    expect(ends.decision).toBe('reversed');
    expect(ends.describe()).toMatch(/the ends may be swapped: 0 of 5 at the bad end, 5 of 5 at the good end/);
  });

  it('gives up at the limit of attempts, and tells what was seen', () => {
    const none = run(() => false, { maxAttempts: 40 });
    expect(none.decision).toBe('indistinct');
    expect(none.describe()).toBe('no failure at either end: 0 of 40 at the bad end, 0 of 40 at the good end');
    let number = 0;
    const few = run((end) => [0, 8, 16].includes(number++ >> 1) && (end === 'bad' || number < 4), { maxAttempts: 40 });
    expect(few.describe()).toBe('the rates do not differ: 3 of 40 at the bad end, 1 of 40 at the good end');
  });

  it('learns nothing from pairs in which both ends fail', () => {
    expect(run(() => true, { maxAttempts: 100 }).decision).toBe('indistinct');
  });

  it('is wrong in at most 5 % of all outcomes of 12 pairs in which one end fails, each way', () => {
    const decisions = Array.from({ length: 2 ** 12 }, (_, outcomes) => {
      let attempt = 0;
      return run((end) => (((outcomes >> (attempt++ >> 1)) & 1) === 1) === (end === 'bad'), { maxAttempts: 12 })
        .decision;
    });
    for (const wrong of ['differ', 'reversed'])
      expect(decisions.filter((decision) => decision === wrong).length).toBeLessThanOrEqual(0.05 * 2 ** 12);
  });

  it.each([0.02, 0.2, 0.5])('calls equal rates of %d different in about 5 % of the runs at most, each way', (rate) => {
    const decisions = Array.from({ length: 400 }, (_, seed) => {
      const random = generator(seed + 1);
      return run(() => random() < rate, { maxAttempts: 200 }).decision;
    });
    // 20 of 400, and three standard deviations of such a count.
    for (const wrong of ['differ', 'reversed'])
      expect(decisions.filter((decision) => decision === wrong).length).toBeLessThanOrEqual(33);
  });

  it('finds rates of 20 % and 2 % different', () => {
    const decisions = Array.from({ length: 100 }, (_, seed) => {
      const random = generator(seed + 1);
      return run((end) => random() < (end === 'bad' ? 0.2 : 0.02)).decision;
    });
    expect(decisions.filter((decision) => decision === 'differ').length).toBeGreaterThanOrEqual(95);
  });

  it('gives both ends the same number of attempts, and swaps its answer with them', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 60 }), (pairs) => {
        const results = [false, true].map((swapped) => {
          let attempt = 0;
          return run((end) => pairs[attempt++ >> 1]?.[(end === 'bad') === swapped ? 0 : 1] ?? false, {
            maxAttempts: pairs.length,
          });
        });
        for (const { counts } of results) expect(counts.good.attempts).toBe(counts.bad.attempts);
        const opposite = { differ: 'reversed', reversed: 'differ', indistinct: 'indistinct', open: 'open' };
        expect(results[1]?.decision).toBe(opposite[results[0]?.decision ?? 'open']);
      }),
    );
  });

  it('refuses what is not valid', () => {
    const usage = (message: RegExp) =>
      expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) });
    expect(() => new EndsTest({ maxAttempts: 0 })).toThrow(usage(/invalid maxAttempts: 0/));
    expect(() => new EndsTest({ confidence: 1 })).toThrow(usage(/confidence/));
    expect(() => new EndsTest().observe('good', true)).toThrow(usage(/the next attempt is one at the bad end/));
    expect(() => run((end) => end === 'bad').observe('bad', true)).toThrow(usage(/the test has ended/));
  });
});
