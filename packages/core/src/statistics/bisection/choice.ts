import type { History } from './history.js';
import type { Posterior } from './posterior.js';
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
  /** Returns the cost until a commit can be tried: build, boot, prepare. 0 when it is ready. */
  readonly prepare: (id: string) => number;
}

/** The next commit to test. */
export interface BisectionStep {
  readonly commit: string;
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

interface Candidates {
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
  const groups = posterior.groups.map((group) => ({
    probability: group.probability,
    after: predict(rates.after.survival(group.after, MAX_BURST)),
    before: predict(rates.before.survival(group.before, MAX_BURST)),
  }));
  let best: BisectionStep | undefined;
  for (const index of candidates(history, posterior, skipped, costs)) {
    const commit = history.commits[index]?.id ?? '';
    const parts = split(history, posterior, index).flatMap(({ inside, outside }, number) => {
      const group = groups[number];
      if (group === undefined || group.probability < NEGLIGIBLE) return [];
      return [
        { probability: inside, predictive: group.after },
        { probability: outside, predictive: group.before },
      ].filter(({ probability }) => probability > 0);
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
  const open: { readonly index: number; readonly share: number }[] = [];
  for (const [index, share] of shares.entries()) {
    if (skipped.has(index)) continue;
    open.push({ index, share });
    if (costs.prepare(history.commits[index]?.id ?? '') === 0) chosen.add(index);
  }
  open.sort((one, other) => one.share - other.share || one.index - other.index);
  let position = 0;
  for (let quantile = 1; quantile < QUANTILES; quantile += 1) {
    const wanted = quantile / QUANTILES;
    while (position < open.length - 1 && (open[position]?.share ?? 1) < wanted) position += 1;
    for (const near of [open[position - 1], open[position]]) if (near) chosen.add(near.index);
  }
  return chosen;
}

/** Returns for each group how much of its probability the commit contains. */
function split(history: History, posterior: Posterior, index: number): { inside: number; outside: number }[] {
  const parts = posterior.groups.map(() => ({ inside: 0, outside: 0 }));
  for (let hypothesis = 0; hypothesis < history.size; hypothesis += 1) {
    const part = parts[posterior.groupOf(hypothesis)];
    const weight = posterior.weights[hypothesis] ?? 0;
    if (part === undefined) continue;
    if (history.includes(index, hypothesis)) part.inside += weight;
    else part.outside += weight;
  }
  return parts;
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
