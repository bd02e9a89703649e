import { describe, expect, it } from 'vitest';
import { record } from './run.fixture.js';
import { summarize } from './summarize.js';

describe('summarize', () => {
  it('leaves inconclusive attempts out of the rate', () => {
    const summary = summarize(
      [
        record(1, 'reproduced', { timeToFailureMs: 50 }),
        record(2, 'inconclusive'),
        record(3, 'clean'),
        record(4, 'reproduced', { timeToFailureMs: 70 }),
      ],
      '/x',
    );
    expect(summary).toMatchObject({ attempts: 4, reproduced: 2, clean: 1, inconclusive: 1, medianTimeToFailureMs: 60 });
    expect(summary.rate).toBeCloseTo(2 / 3);
  });

  it('counts failures of one signature under a title without the numbers of one attempt', () => {
    const stuck = (pid: number) =>
      ({
        kind: 'd-state',
        severity: 'error',
        title: `D state: iou-sqp-${pid} (pid ${pid}, thread 9) in f`,
        signature: 's',
        at: 1,
        evidence: [],
        times: 1,
      }) as const;
    const { failures } = summarize(
      [
        { ...record(1, 'reproduced'), findings: [stuck(410)] },
        { ...record(2, 'reproduced'), findings: [stuck(352)] },
      ],
      '/x',
    );
    expect(failures).toEqual([{ signature: 's', title: 'D state: iou-sqp-N in f', attempts: 2, symptoms: [] }]);
  });

  it('knows no rate when no attempt came to a verdict', () => {
    expect(summarize([record(1, 'inconclusive')], '/x')).toMatchObject({
      rate: null,
      interval: null,
      medianTimeToFailureMs: null,
    });
  });
});
