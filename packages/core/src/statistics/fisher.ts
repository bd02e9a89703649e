import { checkCount, type Count } from './count.js';

/** The p-values of Fisher's exact test, two-sided and one-sided. */
export interface FisherResult {
  /** Either way: the probability, if the rates are equal, of a table at most as probable as this one. */
  readonly twoSided: number;
  /** That `first` fails at most as often as seen. */
  readonly less: number;
  /** That `first` fails at least as often as seen. */
  readonly greater: number;
}

/** Two tables count as equally probable within this: the products are computed in logarithms. R's fisher.test has the same. */
const TIE = 1 + 1e-7;

/**
 * Fisher's exact test of two rates: given the margins, how probable tables like this are when both fail equally often
 * (R. A. Fisher, Statistical Methods for Research Workers, 1934; the two-sided p as R's `fisher.test` has it).
 * @throws {USAGE} for an invalid count
 */
export function fisherExact(first: Count, second: Count): FisherResult {
  checkCount(first);
  checkCount(second);
  const failures = first.failures + second.failures;
  const all = first.attempts + second.attempts;
  const [least, most] = [Math.max(0, failures - second.attempts), Math.min(failures, first.attempts)];
  const whole = logChoose(all, first.attempts);
  const probability = (k: number) =>
    Math.exp(logChoose(failures, k) + logChoose(all - failures, first.attempts - k) - whole);
  const seen = probability(first.failures) * TIE;
  let [twoSided, less, greater] = [0, 0, 0];
  for (let k = least; k <= most; k += 1) {
    const p = probability(k);
    if (p <= seen) twoSided += p;
    if (k <= first.failures) less += p;
    if (k >= first.failures) greater += p;
  }
  return { twoSided: Math.min(1, twoSided), less: Math.min(1, less), greater: Math.min(1, greater) };
}

/** Adjusts p-values of several comparisons, so that a single false one among them is as rare as wanted (S. Holm, 1979). */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((p, index) => ({ p, index })).toSorted((one, other) => one.p - other.p);
  const adjusted = pValues.map(() => 1);
  let least = 0;
  for (const [rank, { p, index }] of order.entries()) {
    least = Math.max(least, Math.min(1, p * (order.length - rank)));
    adjusted[index] = least;
  }
  return adjusted;
}

export function logChoose(n: number, k: number): number {
  if (k < 0 || k > n) return -Infinity;
  return logFactorial(n) - logFactorial(k) - logFactorial(n - k);
}

const LOG_FACTORIALS = [0];

function logFactorial(n: number): number {
  for (let next = LOG_FACTORIALS.length; next <= n; next += 1)
    LOG_FACTORIALS.push((LOG_FACTORIALS[next - 1] ?? 0) + Math.log(next));
  return LOG_FACTORIALS[n] ?? NaN;
}
