import { describe, expect, it } from 'vitest';
import { record } from '../../run-files/run.fixture.js';
import { StopRule } from './stop-rule.js';

describe('when enough was seen', () => {
  const indices = Array.from({ length: 1000 }, (_, index) => index + 1);

  it('is decided in the order of the indices, whichever attempt ended first', () => {
    const rule = new StopRule({ until: 'rate<0.01@95%' }, indices);
    rule.push(record(2, 'reproduced'));
    expect(rule.reached).toBeUndefined();
    rule.push(record(1, 'inconclusive'));
    expect(rule.reached).toBe('rate<0.01@95% is refuted');
  });

  it('takes as many clean attempts as the test says, inconclusive ones left out', () => {
    const rule = new StopRule({ until: 'rate<0.01@95%' }, indices);
    let n = 0;
    while (rule.reached === undefined) rule.push(record((n += 1), n % 10 === 0 ? 'inconclusive' : 'clean'));
    expect([n - Math.floor(n / 10), rule.verdict]).toEqual([329, { goal: 'rate<0.01@95%', decision: 'holds' }]);
  });
});
