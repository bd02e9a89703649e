import { cleanAttemptsNeededAfter, isShown } from '../../statistics/attempts-needed.js';
import type { Count } from '../../statistics/count.js';
import { fisherExact, holm } from '../../statistics/fisher.js';
import { rateDifference } from '../../statistics/wilson.js';

/** `lower`, `higher`: the rate is another than in the first run, at 95 %. `open`: no difference is shown. */
export type ComparisonVerdict = 'lower' | 'higher' | 'open' | 'nothing-to-compare';

/** A run against the first one. */
export interface Comparison {
  readonly verdict: ComparisonVerdict;
  /** Fisher's exact test, two-sided; adjusted by Holm when several runs are compared with the first. */
  readonly p: number;
  readonly adjusted: boolean;
  /** The rate's change, later - first, with Newcombe's 95 % interval. */
  readonly change: { readonly difference: number; readonly interval: readonly [number, number] } | null;
  /** When this run has no failure and that shows nothing yet: how many more clean attempts would. */
  readonly cleanAttemptsLeft: number | null;
}

const CONFIDENCE = 0.95;

/** Compares each further run with the first, the one before the fix. */
export function compareRuns([first, ...others]: readonly Count[]): readonly Comparison[] {
  if (first === undefined) return [];
  const tests = others.map((other) => fisherExact(first, other).twoSided);
  const adjusted = holm(tests);
  return others.map((other, index) => {
    const p = adjusted[index] ?? 1;
    const change = rateDifference(other, first);
    const comparable = first.attempts > 0 && other.attempts > 0;
    const verdict = !comparable
      ? 'nothing-to-compare'
      : !isShown(p, CONFIDENCE) || change === null
        ? 'open'
        : change.difference < 0
          ? 'lower'
          : 'higher';
    return {
      verdict,
      p,
      adjusted: others.length > 1,
      change,
      cleanAttemptsLeft: verdict === 'open' ? cleanLeft(first, other) : null,
    };
  });
}

function cleanLeft(first: Count, other: Count): number | null {
  if (first.failures === 0 || other.failures > 0) return null;
  // Of several runs each needs more than that, by Holm's correction.
  return Math.max(cleanAttemptsNeededAfter(first, CONFIDENCE) - other.attempts, 1);
}
