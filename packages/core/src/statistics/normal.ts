import { QmpilotError } from '../errors.js';

/** The standard normal distribution function: series near zero, continued fraction in the tails (Abramowitz and Stegun 26.2.10, 26.2.14). */
export function normalCdf(x: number): number {
  if (x < 0) return 1 - normalCdf(-x);
  if (x > 38) return 1;
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  if (x > 4) return 1 - density / tailFraction(x);
  let [term, sum] = [x, x];
  for (let n = 3; Math.abs(term) > sum * 1e-17; n += 2) {
    term *= (x * x) / n;
    sum += term;
  }
  return 0.5 + density * sum;
}

/** The value below which a standard normal variable falls with probability `p`. */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) return p === 0 ? -Infinity : p === 1 ? Infinity : NaN;
  // Below one half, where 1 - p would lose digits, by symmetry.
  if (p > 0.5) return -normalQuantile(1 - p);
  let [low, high] = [-40, 0];
  while (high - low > 1e-14 * Math.max(1, -low)) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (lowerTail(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * The two-sided quantile of a confidence: 1.96 for 0.95.
 * @throws {USAGE} when it is not between 0 and 1
 */
export function quantileOfConfidence(confidence: number): number {
  if (!(confidence > 0 && confidence < 1))
    throw new QmpilotError('USAGE', `the confidence: ${confidence} is not between 0 and 1`, {
      hint: 'write 0.95 for 95 %',
    });
  return -normalQuantile((1 - confidence) / 2);
}

/** P(X < x) for x <= 0, without cancellation. */
function lowerTail(x: number): number {
  if (x > -4) return normalCdf(x);
  return Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI) / tailFraction(-x);
}

function tailFraction(x: number): number {
  let fraction = x;
  for (let n = 120; n >= 1; n -= 1) fraction = x + n / fraction;
  return fraction;
}
