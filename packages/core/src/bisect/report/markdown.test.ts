import { describe, expect, it } from 'vitest';
import type { BisectResult } from '../result.js';
import { renderReport } from './markdown.js';

const [GOOD, BAD, CULPRIT, OTHER] = ['a', 'b', 'c', 'd'].map((digit) => digit.repeat(40)) as [
  string,
  string,
  string,
  string,
];
const RESULT: BisectResult = {
  v: 1,
  state: 'confirmed',
  reason: 'fresh attempts confirm the answer',
  culprits: [{ commit: CULPRIT, subject: 'take the lock out', probability: 0.97 }],
  suspects: [{ commit: CULPRIT, subject: 'take the lock out', probability: 0.97 }],
  commits: 60,
  good: GOOD,
  bad: BAD,
  signature: 'lost update',
  ends: { good: { failures: 0, attempts: 12 }, bad: { failures: 5, attempts: 12 } },
  rates: { before: 0.004, after: 0.4 },
  confirmation: [
    { commit: CULPRIT, failures: 3, attempts: 4 },
    { commit: GOOD, failures: 0, attempts: 8 },
  ],
  counts: [],
  skipped: [{ commit: OTHER, reason: 'its build ended with exit status 2: \u001b[31merror' }],
  builds: 9,
  attempts: 80,
  ms: 125_000,
  dir: '/b',
};

describe('the report of a bisection', () => {
  it('names the commit, and says what was seen at the ends and by the confirmation', () => {
    const lines = renderReport(RESULT).split('\n');
    expect(lines[0]).toBe('cccccccccccc introduced the failure: fresh attempts confirm the answer.');
    expect(lines).toContain('- cccccccccccc ("take the lock out")');
    expect(lines).toContain('- range: aaaaaaaaaaaa..bbbbbbbbbbbb, 60 commits');
    expect(lines).toContain('- estimated rate: 0.40 % before, 40 % from it on');
    expect(lines).toContainEqual(
      expect.stringMatching(/^- bad end: 5 of 12 attempts failed, 95 % interval of the rate \d/),
    );
    expect(lines).toContainEqual(
      expect.stringMatching(/^- fresh attempts on its parent a{12}: 0 of 8 attempts failed/),
    );
    expect(renderReport(RESULT)).not.toContain('\u001b');
  });

  it.each([
    [{ failures: 0, attempts: 40, isLower: true }, /reverted: 0 of 40 attempts failed, 95 % interval[^;]*$/m],
    [
      { failures: 0, attempts: 4, isLower: false },
      /reverted: 0 of 4 .*; too few attempts to tell that the failure is rarer$/m,
    ],
    [
      { failures: 9, attempts: 40, isLower: false },
      /reverted: 9 of 40 .*; not shown to be rarer .* does not refute the answer/m,
    ],
    [{ reason: 'it does not revert cleanly' }, /reverted: not tried, it does not revert cleanly$/m],
  ])('says what the bad end with the culprit reverted showed: %j', (revert, line) => {
    expect(renderReport({ ...RESULT, revert })).toMatch(line);
  });

  it('lists what holds the culprit when the search ended early', () => {
    const suspects = [...RESULT.suspects, { commit: OTHER, subject: 'another', probability: 0.02 }];
    const text = renderReport({
      ...RESULT,
      state: 'undecided',
      reason: 'the limit of 3 builds is reached',
      culprits: [],
      suspects,
    });
    expect(text).toMatch(/^The commit is not found: the limit of 3 builds is reached\.\n/);
    expect(text).toContain('- 97 %: cccccccccccc ("take the lock out")\n- 2.0 %: dddddddddddd ("another")');
  });

  it('names several commits that no attempt tells apart, and nothing when the ends do not differ', () => {
    const culprits = [...RESULT.culprits, { commit: OTHER, subject: 'another', probability: 0.02 }];
    expect(renderReport({ ...RESULT, culprits })).toMatch(
      /^One of 2 commits introduced .*\n\nNo attempt tells these commits apart:/,
    );
    const text = renderReport({ ...RESULT, state: 'indistinct', reason: 'the rates do not differ', culprits: [] });
    expect(text).toMatch(/^Nothing was bisected: the rates do not differ\.\n\n- range/);
  });
});
