/** The standard normal distribution's 0.975 quantile: 95 %, two-sided. */
const Z95 = 1.959963984540054;

/**
 * The Wilson score interval of a proportion at 95 % (E. B. Wilson, JASA 22, 1927; without continuity correction, method 3 of
 * Newcombe, Statistics in Medicine 17, 1998). Null when nothing was tried.
 */
export function wilsonInterval(successes: number, trials: number): [number, number] | null {
  if (trials === 0) return null;
  const p = successes / trials;
  const z2 = Z95 * Z95;
  const middle = p + z2 / (2 * trials);
  const spread = Z95 * Math.sqrt((p * (1 - p)) / trials + z2 / (4 * trials * trials));
  const scale = 1 + z2 / trials;
  return [successes === 0 ? 0 : (middle - spread) / scale, successes === trials ? 1 : (middle + spread) / scale];
}
