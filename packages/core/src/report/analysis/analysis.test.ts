import { describe, expect, it } from 'vitest';
import { analyze } from './analysis.js';
import { compareRuns } from './comparison.js';
import { attempt, finding, runOf } from './run.fixture.js';

describe('analyze', () => {
  it('leaves inconclusive attempts out of rate, curve and cost', () => {
    const analysis = analyze(runOf('rciic'));
    expect(analysis).toMatchObject({
      total: 5,
      failures: 1,
      attempts: 3,
      clean: 2,
      inconclusive: 2,
      medianTimeToFailure: 2000,
      timePerFailure: 3 * 10_050,
    });
    expect(analysis.rate).toBeCloseTo(1 / 3);
    expect(analysis.survival.steps.map(({ time, failures, censored }) => [time, failures, censored])).toEqual([
      [2000, 1, 0],
      [10_000, 0, 2],
    ]);
    expect(analysis.reasons).toEqual([{ reason: 'QEMU_EXITED: gone', attempts: [3, 4] }]);
  });

  it('bounds the rate when nothing failed: 59 clean attempts leave 5 %', () => {
    expect(analyze(runOf('c'.repeat(59))).upperBound).toBeCloseTo(0.0495, 4);
    expect(analyze(runOf('rc')).upperBound).toBeNull();
  });

  it('knows nothing of a run without a verdict', () => {
    expect(analyze(runOf(''))).toMatchObject({
      rate: null,
      interval: null,
      upperBound: null,
      timePerFailure: null,
      cleanToShowFix: null,
      groups: [],
    });
    expect(analyze(runOf('ii'))).toMatchObject({ rate: null, inconclusive: 2 });
  });

  it('groups failures by signature, counts attempts and not findings, errors first, and shows one with a stack', () => {
    const stack = [{ function: 'f', raw: 'f+0x1/0x2' }];
    const run = runOf('', {
      attempts: [
        attempt(1, 'r', {
          findings: [finding(), finding({ at: 9000 }), finding({ signature: 'w', severity: 'warning', at: 1 })],
        }),
        attempt(2, 'r', { findings: [finding({ stack, at: 4000 }), finding({ signature: 'other' })] }),
        attempt(3, 'c', { findings: [finding({ signature: 'w', severity: 'warning' })] }),
      ],
    });
    expect(analyze(run).groups).toMatchObject([
      { signature: 'hung-task f', attempts: [1, 2], medianAt: 3000, exampleAttempt: 2, example: { stack } },
      { signature: 'other', attempts: [2] },
      { signature: 'w', severity: 'warning', attempts: [1, 3] },
    ]);
  });
});

describe('compareRuns', () => {
  const count = (failures: number, attempts: number) => ({ failures, attempts });

  it('sees a fix when enough attempts are clean, and says how many are missing before', () => {
    expect(compareRuns([count(6, 10), count(0, 60)])).toMatchObject([
      { verdict: 'lower', cleanAttemptsLeft: null, adjusted: false },
    ]);
    const [open] = compareRuns([count(6, 10), count(0, 3)]);
    expect(open?.verdict).toBe('open');
    const more = open?.cleanAttemptsLeft ?? 0;
    expect(more).toBeGreaterThan(0);
    expect(compareRuns([count(6, 10), count(0, 3 + more)])[0]?.cleanAttemptsLeft).toBeNull();
  });

  it('sees a change for the worse', () =>
    expect(compareRuns([count(0, 50), count(20, 50)])).toMatchObject([{ verdict: 'higher' }]));

  it('asks more of each of several comparisons', () => {
    const [alone] = compareRuns([count(8, 20), count(1, 20)]);
    const [first, second] = compareRuns([count(8, 20), count(1, 20), count(8, 20)]);
    expect(alone?.verdict).toBe('lower');
    expect(first?.p).toBeCloseTo((alone?.p ?? 0) * 2);
    expect(second).toMatchObject({ verdict: 'open', adjusted: true });
  });

  it('compares nothing with a run that has no verdict', () =>
    expect(compareRuns([count(0, 0), count(1, 2)])).toMatchObject([{ verdict: 'nothing-to-compare' }]));
  it('is empty for one run', () => expect(compareRuns([count(1, 2)])).toEqual([]));
});
