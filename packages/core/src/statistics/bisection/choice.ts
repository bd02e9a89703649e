import type { History } from './history.js';
import { GOOD_END, type Posterior } from './posterior.js';
import type { RateModel } from './rate-model.js';

/** How many attempts a step may take at most; each step ends at its first failure. */
const BURSTS = [1, 4, 16, 64] as const;

const MAX_BURST = 64;
/** Commits that are looked at besides those that are prepared already: one for each of these shares of the probability. */
const QUANTILES = 48;
/** Groups that together hold less than this tell too little to be looked at. */
const NEGLIGIBLE = 1e-6;

/** The cost of a step, in any unit: seconds, or attempts. */
export interface StepCosts {
  /** One attempt, restore included. */
  readonly attempt: number;
  /** Returns the cost until a commit can be tried: build, boot, prepare. 0 when it is ready. `undefined` is the good end. */
  readonly prepare: (id: string | undefined) => number;
}

/** The next commit to test. */
export interface BisectionStep {
  /** `undefined` is the good end: it tells the rate before the culprit, where none of the commits that were tried does. */
  readonly commit: string | undefined;
  /** Attempts at most: the step ends at the first failure. */
  readonly attempts: number;
  /** Expected information, in bits. */
  readonly bits: number;
  /** Expected cost, in the unit of the costs. */
  readonly cost: number;
}

interface Predictive {
  readonly survival: Float64Array;
  /** For each burst: entropy of the outcome in bits, and the expected number of attempts. */
  readonly bursts: readonly { readonly entropy: number; readonly attempts: number }[];
}

/** What a step is chosen from. */
export interface Candidates {
  readonly history: History;
  readonly posterior: Posterior;
  readonly rates: { readonly before: RateModel; readonly after: RateModel };
  /** Commits that cannot be tried. */
  readonly skipped: ReadonlySet<number>;
  readonly costs: StepCosts;
  /** Attempts that a step may take at most. */
  readonly maxAttempts: number;
}

/**
 * Chooses the commit and the number of attempts that are expected to tell the most about the culprit for their cost.
 * Returns undefined when every commit that could tell something is skipped.
 */
export function chooseStep({
  history,
  posterior,
  rates,
  skipped,
  costs,
  maxAttempts,
}: Candidates): BisectionStep | undefined {
  const groups = posterior.groups.flatMap((group, number) => {
    if (group.probability < NEGLIGIBLE) return [];
    const after = predict(rates.after.survival(group.after, MAX_BURST));
    const before = predict(rates.before.survival(group.before, MAX_BURST));
    return [{ number, probability: group.probability, after, before }];
  });
  let best: BisectionStep | undefined;
  const goodEnd = skipped.has(GOOD_END) ? [] : [GOOD_END];
  for (const index of [...goodEnd, ...candidates(history, posterior, skipped, costs)]) {
    const commit = history.commits[index]?.id;
    const parts = groups.flatMap(({ number, probability, after, before }) => {
      const inside = index === GOOD_END ? 0 : probability * posterior.shareInside(number, index);
      return [
        { probability: inside, predictive: after },
        { probability: probability - inside, predictive: before },
      ].filter((part) => part.probability > 0);
    });
    const preparing = costs.prepare(commit);
    for (const [number, attempts] of BURSTS.entries()) {
      if (attempts > maxAttempts) break;
      const { bits, expectedAttempts } = expectedInformation(parts, number, attempts);
      const cost = preparing + expectedAttempts * costs.attempt;
      if (bits > 0 && (best === undefined || bits / cost > best.bits / best.cost))
        best = { commit, attempts, bits, cost };
    }
  }
  return best;
}

/** Commits that are worth a look: those that are ready, and those that divide the probability in steps of the same size. */
function candidates(
  history: History,
  posterior: Posterior,
  skipped: ReadonlySet<number>,
  costs: StepCosts,
): Set<number> {
  const shares = history.accumulate(posterior.weights);
  const chosen = new Set<number>();
  // The commits with the lowest and with the highest share between two neighbouring quantiles.
  const lowest: (number | undefined)[] = Array.from({ length: QUANTILES });
  const highest: (number | undefined)[] = Array.from({ length: QUANTILES });
  for (const [index, share] of shares.entries()) {
    if (skipped.has(index)) continue;
    if (costs.prepare(history.commits[index]?.id) === 0) chosen.add(index);
    const quantile = Math.min(Math.floor(share * QUANTILES), QUANTILES - 1);
    const [low, high] = [lowest[quantile], highest[quantile]];
    if (low === undefined || share < (shares[low] ?? 0)) lowest[quantile] = index;
    if (high === undefined || share >= (shares[high] ?? 0)) highest[quantile] = index;
  }
  for (let quantile = 1; quantile < QUANTILES; quantile += 1) {
    const below = highest.slice(0, quantile).findLast((index) => index !== undefined);
    const above = lowest.slice(quantile).find((index) => index !== undefined);
    for (const near of [below, above]) if (near !== undefined) chosen.add(near);
  }
  return chosen;
}

/** The mutual information of the culprit and the outcome of a burst: at which attempt the first failure comes, if one comes. */
function expectedInformation(
  parts: readonly { readonly probability: number; readonly predictive: Predictive }[],
  burst: number,
  attempts: number,
): { readonly bits: number; readonly expectedAttempts: number } {
  const mixed = new Float64Array(attempts + 1);
  let conditional = 0;
  let expectedAttempts = 0;
  for (const { probability, predictive } of parts) {
    for (let i = 0; i <= attempts; i += 1) mixed[i] = (mixed[i] ?? 0) + probability * (predictive.survival[i] ?? 0);
    conditional += probability * (predictive.bursts[burst]?.entropy ?? 0);
    expectedAttempts += probability * (predictive.bursts[burst]?.attempts ?? 0);
  }
  return { bits: Math.max(0, entropyOf(mixed, attempts) - conditional), expectedAttempts };
}

function predict(survival: Float64Array): Predictive {
  return {
    survival,
    bursts: BURSTS.map((attempts) => ({
      entropy: entropyOf(survival, attempts),
      attempts: survival.subarray(0, attempts).reduce((sum, share) => sum + share, 0),
    })),
  };
}

/** The entropy in bits of "the first failure is at attempt 1, 2, ... `attempts`, or there is none". */
function entropyOf(survival: Float64Array, attempts: number): number {
  let entropy = 0;
  const add = (p: number) => {
    if (p > 0) entropy -= p * Math.log2(p);
  };
  for (let i = 0; i < attempts; i += 1) add((survival[i] ?? 0) - (survival[i + 1] ?? 0));
  add(survival[attempts] ?? 0);
  return entropy;
}
