import { formatPercent } from '../../util/text/format.js';
import type { RunAnalysis } from '../analysis/analysis.js';
import type { Comparison } from '../analysis/comparison.js';
import { counted, percentRange, probability } from './format.js';

/** The answer in one sentence. */
export function headline({ failures, attempts, inconclusive }: RunAnalysis): string {
  if (attempts === 0)
    return inconclusive === 0
      ? 'No attempt has finished yet'
      : `Cannot tell: ${counted(inconclusive, 'attempt was', 'attempts were')} inconclusive`;
  if (failures === 0) return `No failure in ${counted(attempts, 'attempt')}`;
  if (failures === attempts) return attempts === 1 ? 'The one attempt failed' : `All ${attempts} attempts failed`;
  return `${failures} of ${counted(attempts, 'attempt')} failed`;
}

/** The rate in words. */
export function rateSentence({ failures, rate, interval, upperBound }: RunAnalysis): string {
  if (rate === null || interval === null) return 'No attempt has a verdict, so there is no rate.';
  if (failures === 0 && upperBound !== null)
    return `If it fails at all, it fails in fewer than ${formatPercent(upperBound)} of attempts (95 % confidence).`;
  return `A rate of ${formatPercent(rate)}: between ${percentRange(interval)} with 95 % confidence.`;
}

/** The answer when runs are compared: whether the rate went down or up. */
export function comparisonHeadline(
  runs: readonly { readonly label: string; readonly analysis: RunAnalysis }[],
  comparisons: readonly Comparison[],
): string {
  const [only] = comparisons;
  if (comparisons.length !== 1 || only === undefined) {
    const count = (wanted: Comparison['verdict']) => comparisons.filter(({ verdict }) => verdict === wanted).length;
    const [lower, higher] = [count('lower'), count('higher')];
    const reference = runs[0]?.label ?? 'the first';
    const of = (some: number) => `${some} of ${comparisons.length} runs ${some === 1 ? 'fails' : 'fail'}`;
    if (lower === 0 && higher > 0) return `${of(higher)} more often than ${reference}`;
    return `${of(lower)} less often than ${reference}${higher > 0 ? `, and ${higher} more often` : ''}`;
  }
  const none = runs[1]?.analysis.failures === 0;
  switch (only.verdict) {
    case 'lower':
      return none ? 'The failure is gone' : 'It fails less often, and still fails';
    case 'higher':
      return 'It fails more often';
    case 'open':
      return none ? 'Not shown yet: the second run may be clean by chance' : 'No difference is shown';
    case 'nothing-to-compare':
      return 'Nothing to compare yet';
  }
}

/** Returns the sentence after the headline of a comparison of two runs. */
export function comparisonSummary(
  [before, after]: readonly { readonly analysis: RunAnalysis }[],
  comparisons: readonly Comparison[],
): string {
  const [only] = comparisons;
  if (comparisons.length !== 1 || only === undefined || before === undefined || after === undefined)
    return 'Each run is compared with the first one.';
  const seen = `${after.analysis.failures} of ${counted(after.analysis.attempts, 'attempt')} failed; before it was ${before.analysis.failures} of ${before.analysis.attempts}.`;
  const { upperBound } = after.analysis;
  const rest =
    upperBound === null ? '' : ` It may still fail in up to ${formatPercent(upperBound)} of attempts (95 %).`;
  switch (only.verdict) {
    case 'lower':
      return `${seen} Such a difference comes by chance with a probability of ${probability(only.p)}.${rest}`;
    case 'higher':
      return `${seen} Such a difference comes by chance with a probability of ${probability(only.p)}.`;
    case 'open':
      return `${seen} Chance alone makes a difference like this with a probability of ${probability(only.p)}.${only.cleanAttemptsLeft === null ? '' : ` ${counted(only.cleanAttemptsLeft, 'more clean attempt')} would settle it.`}`;
    case 'nothing-to-compare':
      return seen;
  }
}

export function comparisonSentence({ verdict, p, adjusted, change, cleanAttemptsLeft }: Comparison): string {
  if (verdict === 'nothing-to-compare' || change === null) return 'One of the two runs has no attempt with a verdict.';
  const points = (value: number) =>
    `${value > 0 ? '+' : value < 0 ? '−' : ''}${formatPercent(Math.abs(value)).replace(' %', '')}`;
  const test = `Fisher's exact test, two-sided: p = ${probability(p)}${adjusted ? ' (Holm)' : ''}.`;
  const by = `The rate changes by ${points(change.difference)} points (95 %: ${points(change.interval[0])} to ${points(change.interval[1])}).`;
  const left =
    cleanAttemptsLeft === null ? '' : ` ${counted(cleanAttemptsLeft, 'more clean attempt')} would show it at 95 %.`;
  return `${test} ${by}${left}`;
}
