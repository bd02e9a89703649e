import { checkCount, type Count } from './count.js';
import { quantileOfConfidence } from './normal.js';

/**
 * The Wilson score interval of a proportion (E. B. Wilson, JASA 22, 1927; without continuity correction, method 3 of
 * Newcombe, Statistics in Medicine 17, 1998). Two-sided; `confidence` is 0.95 unless said otherwise. Null when nothing was tried.
 * @throws {USAGE} for an invalid count, or a confidence that is not between 0 and 1
 */
export function wilsonInterval(successes: number, trials: number, confidence = 0.95): [number, number] | null {
  checkCount({ failures: successes, attempts: trials });
  if (trials === 0) return null;
  const z = quantileOfConfidence(confidence);
  const p = successes / trials;
  const z2 = z * z;
  const middle = p + z2 / (2 * trials);
  const spread = z * Math.sqrt((p * (1 - p)) / trials + z2 / (4 * trials * trials));
  const scale = 1 + z2 / trials;
  return [successes === 0 ? 0 : (middle - spread) / scale, successes === trials ? 1 : (middle + spread) / scale];
}

/** How two rates differ, `first - second`, with an interval: Newcombe's hybrid score, method 10 (Statistics in Medicine 17, 1998, 873-890). */
export function rateDifference(
  first: Count,
  second: Count,
  confidence = 0.95,
): { difference: number; interval: [number, number] } | null {
  const own = wilsonInterval(first.failures, first.attempts, confidence);
  const other = wilsonInterval(second.failures, second.attempts, confidence);
  if (own === null || other === null) return null;
  const [p, q] = [first.failures / first.attempts, second.failures / second.attempts];
  return {
    difference: p - q,
    interval: [p - q - Math.hypot(p - own[0], other[1] - q), p - q + Math.hypot(own[1] - p, q - other[0])],
  };
}
