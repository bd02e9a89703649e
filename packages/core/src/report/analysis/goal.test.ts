import { describe, expect, it } from 'vitest';
import { goalResult, goalSentence } from './goal.js';
import { runOf } from './run.fixture.js';

const run = (letters: string, until?: string) =>
  runOf(letters, {
    run: { name: 's', environment: [], commandLine: [], sessions: [], ...(until !== undefined && { until }) },
  });
const said = (letters: string, until: string) => {
  const result = goalResult(run(letters, until));
  return result && goalSentence(result);
};

describe('goalResult', () => {
  it.each([
    ['c'.repeat(40), 'rate<0.1@95%', 'Its goal, rate<0.1@95%, holds (sequential test, wrong in at most 5 % of runs).'],
    ['rrrrrr', 'rate<0.1@99%', 'Its goal, rate<0.1@99%, is refuted (sequential test, wrong in at most 1 % of runs).'],
    [
      'rc',
      'rate<0.4@99%',
      expect.stringMatching(/^Its goal, rate<0\.4@99%, is still open: \d+ clean attempts in a row would decide it\.$/),
    ],
  ])('says of %s with the goal %s what the run itself said', (letters, until, sentence) =>
    expect(said(letters, until)).toEqual(sentence),
  );

  it('leaves inconclusive attempts out', () => {
    expect(goalResult(run('i'.repeat(100), 'rate<0.1@95%'))).toMatchObject({ decision: 'open' });
  });

  it('is nothing without a goal, or with one of another version', () => {
    expect(goalResult(run('c'))).toBeNull();
    expect(goalResult(run('c', 'median>3'))).toBeNull();
  });
});
