import { assertProbability } from './attempts-needed.js';
import type { RateGoal } from './rate-goal.js';

/** `holds`: the rate is as the goal says. `refuted`: it is on the other side. `open`: more attempts are needed. */
export type Decision = 'open' | 'holds' | 'refuted';

/** How far the odds of a failure may lie from the goal's, as a factor, and what each is worth: never failing at all gets the most. */
const ALTERNATIVES = [0, 1 / 64, 1 / 16, 1 / 8, 1 / 4, 0.4, 0.6, 0.8].map((factor) => ({
  factor,
  weight: factor === 0 ? 0.5 : 0.5 / 7,
}));
const MAX_LEFT = 10_000_000;

/**
 * Decides a goal such as `rate<0.01@95%` while attempts come in, looking after every one of them.
 *
 * A mixture of sequential probability ratio tests (A. Wald 1945; H. Robbins 1970), one for each side: the likelihood of what was
 * seen, averaged over rates on that side, against its likelihood at the goal's rate. For every true rate on the other side this
 * ratio is a non-negative supermartingale that starts at 1, so by Ville's inequality it ever exceeds 1 / (1 - confidence) with a
 * probability of at most 1 - confidence. Hence both errors, calling `holds` what is not so and calling `refuted` what holds, are
 * each at most 1 - confidence, however long one looks and whenever one stops. Only a rate at the very limit may stay open forever.
 *
 * Push attempts in the order of their numbers: in the order in which they end, quick ones would count first.
 */
export class SequentialTest {
  readonly goal: RateGoal;
  #failures = 0;
  #attempts = 0;
  #decision: Decision = 'open';

  /** @throws {USAGE} when rate or confidence are not between 0 and 1 */
  constructor(goal: RateGoal) {
    assertProbability(goal.rate, 'the rate');
    assertProbability(goal.confidence, 'the confidence');
    this.goal = goal;
  }

  get decision(): Decision {
    return this.#decision;
  }

  get failures(): number {
    return this.#failures;
  }

  get attempts(): number {
    return this.#attempts;
  }

  /** Takes one more attempt; leave inconclusive ones out. A decision, once made, stays. */
  push(failed: boolean): Decision {
    this.#attempts += 1;
    if (failed) this.#failures += 1;
    if (this.#decision === 'open') this.#decision = decide(this.goal, this.#failures, this.#attempts);
    return this.#decision;
  }

  /** How many more attempts, if all go this way, would decide it; null when it is decided, or they never would. */
  attemptsLeft(way: 'clean' | 'failing'): number | null {
    if (this.#decision !== 'open') return null;
    const decided = (more: number) =>
      decide(this.goal, this.#failures + (way === 'failing' ? more : 0), this.#attempts + more) ===
      this.#verdictOf(way);
    let most = 1;
    while (!decided(most)) {
      most *= 2;
      if (most > MAX_LEFT) return null;
    }
    let least = Math.floor(most / 2);
    while (most - least > 1) {
      const middle = Math.floor((least + most) / 2);
      if (decided(middle)) most = middle;
      else least = middle;
    }
    return most;
  }

  #verdictOf(way: 'clean' | 'failing'): Decision {
    return (way === 'clean') === (this.goal.relation === '<') ? 'holds' : 'refuted';
  }
}

function decide({ rate, relation, confidence }: RateGoal, failures: number, attempts: number): Decision {
  const limit = -Math.log1p(-confidence);
  const below = logEvidence('below', rate, failures, attempts) >= limit;
  const above = logEvidence('above', rate, failures, attempts) >= limit;
  if (below === above) return 'open';
  return below === (relation === '<') ? 'holds' : 'refuted';
}

/** Logarithm of the averaged likelihood ratio for rates on one side of `rate`, against `rate` itself. */
export function logEvidence(side: 'below' | 'above', rate: number, failures: number, attempts: number): number {
  // A rate above is a rate of clean attempts below.
  const limit = side === 'below' ? rate : 1 - rate;
  const [seen, others] = side === 'below' ? [failures, attempts - failures] : [attempts - failures, failures];
  const logs = ALTERNATIVES.map(({ factor, weight }) => {
    const odds = (limit / (1 - limit)) * factor;
    const alternative = odds / (1 + odds);
    const bySeen = seen === 0 ? 0 : seen * Math.log(alternative / limit);
    return Math.log(weight) + bySeen + others * (Math.log1p(-alternative) - Math.log1p(-limit));
  });
  const most = Math.max(...logs);
  return most === -Infinity ? -Infinity : most + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - most), 0));
}
