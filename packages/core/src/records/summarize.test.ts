import { describe, expect, it } from 'vitest';
import type { AttemptRecord } from './records.js';
import { summarize } from './summarize.js';

describe('summarize', () => {
  const record = (index: number, outcome: AttemptRecord['outcome'], timeToFailureMs?: number): AttemptRecord => ({
    v: 1, type: 'attempt', index, outcome, startedAt: '', ms: 1, restoreMs: 1, seed: 1, findings: [],
    ...(timeToFailureMs === undefined ? {} : { timeToFailureMs }),
  });

  it('leaves inconclusive attempts out of the rate', () => {
    const summary = summarize([record(1, 'reproduced', 50), record(2, 'inconclusive'), record(3, 'clean'), record(4, 'reproduced', 70)], '/x');
    expect(summary).toMatchObject({ attempts: 4, reproduced: 2, clean: 1, inconclusive: 1, medianTimeToFailureMs: 60 });
    expect(summary.rate).toBeCloseTo(2 / 3);
  });

  it('knows no rate when no attempt came to a verdict', () => {
    expect(summarize([record(1, 'inconclusive')], '/x')).toMatchObject({ rate: null, interval: null, medianTimeToFailureMs: null });
  });
});
