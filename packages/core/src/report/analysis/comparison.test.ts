import { describe, expect, it } from 'vitest';
import { cleanAttemptsNeededAfter } from '../../statistics/attempts-needed.js';
import { compareRuns } from './comparison.js';

describe('compareRuns', () => {
  it.each([
    [2, 4],
    [1, 1],
    [1, 2],
    [3, 10],
    [10, 20],
    [6, 60],
  ])('says after %i of %i how many clean attempts are left, and is convinced by just so many', (failures, attempts) => {
    const first = { failures, attempts };
    const after = (count: number) => compareRuns([first, { failures: 0, attempts: count }])[0];
    const left = after(1)?.cleanAttemptsLeft ?? 0;
    expect(left).toBeGreaterThan(0);
    // What `plan` and the report before the fix have promised.
    expect(1 + left).toBe(cleanAttemptsNeededAfter(first, 0.95));
    expect(after(1 + left)).toMatchObject({ verdict: 'lower', cleanAttemptsLeft: null });
    expect(after(left)).toMatchObject({ verdict: 'open', cleanAttemptsLeft: 1 });
  });
});
