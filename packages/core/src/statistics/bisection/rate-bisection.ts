import { QmpilotError } from '../../errors.js';
import { checkCount, type Count } from '../count.js';
import { type BisectionStep, chooseStep, type StepCosts } from './choice.js';
import { Confirmation } from './confirmation.js';
import { foresee } from './foresight.js';
import { type HistoryCommit, History } from './history.js';
import { GOOD_END, Posterior } from './posterior.js';
import { JEFFREYS, RateModel, type RatePrior } from './rate-model.js';

/** Knowledge before the first attempt. */
export interface RateBisectionOptions {
  /** The rate from the culprit on. Default: unknown (Jeffreys' prior). */
  readonly rate?: RatePrior;
  /** The rate before the culprit. Default: unknown (Jeffreys' prior); `{ rate: 0 }` when the failure cannot occur without the culprit. */
  readonly background?: RatePrior;
}

/** A commit and the probability that it is the culprit. */
export interface Suspect {
  readonly commit: string;
  readonly probability: number;
}

/**
 * Finds the commit that introduced a failure which does not occur in every attempt, and which may have occurred before, too.
 *
 * The caller runs the attempts: `next()` says where, `observe()` takes what was seen. Any oracle will do.
 *
 * ```ts
 * const bisection = new RateBisection(commits);
 * bisection.observe(bad, { failures: 3, attempts: 15 });
 * bisection.observeGoodEnd({ failures: 0, attempts: 15 });
 * while (!bisection.culprits()) {
 *   const step = bisection.next(costs);
 *   if (!step) break;
 *   bisection.observe(step.commit, await attempt(step.commit, step.attempts));
 * }
 * ```
 *
 * The probabilities hold for the model: one commit changed the rate, and all attempts are independent.
 */
export class RateBisection {
  readonly #history: History;
  readonly #posterior: Posterior;
  readonly #rates: { readonly before: RateModel; readonly after: RateModel };
  readonly #skipped = new Set<number>();

  /**
   * Takes the commits of `good..bad`: those that the bad end contains and the good end does not.
   * @throws {USAGE} for an empty or cyclic history, and for an invalid prior
   */
  constructor(commits: readonly HistoryCommit[], options: RateBisectionOptions = {}) {
    this.#history = new History(commits);
    this.#rates = {
      before: new RateModel('background', options.background ?? JEFFREYS),
      after: new RateModel('rate', options.rate ?? JEFFREYS),
    };
    this.#posterior = new Posterior(this.#history, this.#rates);
  }

  /** Adds attempts on a commit; `undefined` is the good end. @throws {USAGE} when the commit is outside of the history */
  observe(commit: string | undefined, count: Count): void {
    checkCount(count);
    this.#posterior.observe(commit === undefined ? GOOD_END : this.#find(commit), count);
  }

  /** Adds attempts on the good end: only the background can make them fail. */
  observeGoodEnd(count: Count): void {
    checkCount(count);
    this.#posterior.observe(GOOD_END, count);
  }

  /** Excludes a commit, or the good end (`undefined`), from being tried, since it does not build or boot. It may still be the culprit. */
  skip(commit: string | undefined): void {
    this.#skipped.add(commit === undefined ? GOOD_END : this.#find(commit));
  }

  /**
   * Merges two commits whose builds are the same, such as those with equal build ids: they fail equally often, so no commit that only
   * one of them contains is the culprit. `other` undefined stands for the good end. Attempts on one then count for both.
   * @throws {USAGE} when a commit is outside of the history
   */
  sameBuild(commit: string, other: string | undefined): void {
    this.#posterior.equate(this.#find(commit), other === undefined ? GOOD_END : this.#find(other));
  }

  /**
   * Returns the step with the most expected information for its cost, or undefined when no commit that can be tried tells
   * anything more. A step takes 1, 4, 16 or 64 attempts, but no more than `maxAttempts`. It may be at the good end.
   * @throws {USAGE} when `maxAttempts` is not at least 1
   */
  next(costs: StepCosts, { maxAttempts = 64 }: { readonly maxAttempts?: number } = {}): BisectionStep | undefined {
    if (!(maxAttempts >= 1)) throw new QmpilotError('USAGE', `invalid maxAttempts: ${maxAttempts} is below 1`);
    return chooseStep({
      history: this.#history,
      posterior: this.#posterior,
      rates: this.#rates,
      skipped: this.#skipped,
      costs,
      maxAttempts,
    });
  }

  /**
   * Returns the commits that are likely to be built after a step of `next()`, should its attempts fail or not, the more likely ones
   * first: they can be built while its attempts run. `certainty` is that of `culprits()`.
   */
  foresee(
    step: BisectionStep,
    costs: StepCosts,
    { isBuilt, certainty = 0.95 }: { readonly isBuilt: (commit: string) => boolean; readonly certainty?: number },
  ): readonly string[] {
    return foresee(step, {
      history: this.#history,
      posterior: this.#posterior,
      rates: this.#rates,
      skipped: this.#skipped,
      costs,
      maxAttempts: 64,
      isBuilt,
      certainty,
    });
  }

  /** The commits, the most likely culprit first. */
  get suspects(): readonly Suspect[] {
    return this.#history.commits
      .map(({ id }, index) => ({ commit: id, probability: this.#posterior.weights[index] ?? 0 }))
      .sort((one, other) => other.probability - one.probability);
  }

  /** Returns the smallest set of commits that holds the culprit with this probability, the most likely first. */
  credibleSet(probability = 0.95): readonly Suspect[] {
    let sum = 0;
    const suspects = this.suspects;
    const count = suspects.findIndex((suspect) => (sum += suspect.probability) >= probability);
    return count === -1 ? suspects : suspects.slice(0, count + 1);
  }

  /** Whether no commit explains the attempts: a rate that was given, or an equal build, cannot be right. All commits are then equally likely. */
  get isContradicted(): boolean {
    return this.#posterior.isContradicted;
  }

  /** The remaining uncertainty, in bits. */
  get entropy(): number {
    return this.#posterior.weights.reduce((sum, p) => (p > 0 ? sum - p * Math.log2(p) : sum), 0);
  }

  /** The expected failure rates before the culprit and from it on. */
  get rates(): { readonly before: number; readonly after: number } {
    let [before, after] = [0, 0];
    for (const group of this.#posterior.groups) {
      before += group.probability * this.#rates.before.mean(group.before);
      after += group.probability * this.#rates.after.mean(group.after);
    }
    return { before, after };
  }

  /**
   * Returns the answer once it is certain enough, else undefined: the culprit, together with the commits that no commit which can
   * be tried tells apart from it (its neighbours that are skipped). Confirm it before you believe it.
   * @throws {USAGE} when the certainty is not between 0 and 1
   */
  culprits(certainty = 0.95): readonly Suspect[] | undefined {
    if (!(certainty > 0 && certainty < 1))
      throw new QmpilotError('USAGE', `invalid certainty: ${certainty} is not between 0 and 1`);
    let index = 0;
    for (const [other, weight] of this.#posterior.weights.entries())
      if (weight > (this.#posterior.weights[index] ?? 0)) index = other;
    if ((this.#posterior.groups[this.#posterior.groupOf(index)]?.probability ?? 0) < certainty) return undefined;
    const set = this.#inseparableFrom(index);
    return set.reduce((sum, { probability }) => sum + probability, 0) < certainty ? undefined : set;
  }

  #inseparableFrom(index: number): readonly Suspect[] {
    const group = this.#posterior.groupOf(index);
    let set = [...this.#history.commits.keys()].filter((other) => this.#posterior.groupOf(other) === group);
    for (const separator of outwards(index, this.#history.size)) {
      if (set.length === 1) break;
      if (this.#skipped.has(separator)) continue;
      const side = this.#history.includes(separator, index);
      set = set.filter((other) => this.#history.includes(separator, other) === side);
    }
    return set.map((other) => ({
      commit: this.#id(other),
      probability: this.#posterior.weights[other] ?? 0,
    }));
  }

  /**
   * Begins to confirm a suspect, and what cannot be told apart from it, with fresh attempts on the first commit that contains it and
   * on the last ones that do not. The attempts are the caller's to add to this bisection as well, by `observe`: a suspect that was
   * refuted then loses its probability. `ratio` is how much more likely the attempts have to be on the expected side: 20 by default.
   * Returns undefined when no commit that contains the suspect can be tried.
   * @throws {USAGE} when the commit is outside of the history, or the ratio is not above 1
   */
  confirm(commit: string, { ratio = 20 }: { readonly ratio?: number } = {}): Confirmation | undefined {
    const index = this.#find(commit);
    if (!(ratio > 1)) throw new QmpilotError('USAGE', `invalid ratio: ${ratio} is not above 1`);
    const set = new Set(this.#inseparableFrom(index).map((suspect) => this.#find(suspect.commit)));
    // Parents come first: the first one that contains the suspect has the fewest other commits in it.
    const after = [...this.#history.commits.keys()].find(
      (other) => !this.#skipped.has(other) && this.#history.includes(other, index),
    );
    if (after === undefined) return undefined;
    const group = this.#posterior.groups[this.#posterior.groupOf(index)];
    return new Confirmation(this.#id(after), this.#lastBefore(after, set), {
      rates: this.#rates,
      before: group?.before ?? NOTHING,
      after: group?.after ?? NOTHING,
      ratio,
    });
  }

  /** Returns the nearest ancestors that can be tried and hold none of the set; undefined stands for the good end. */
  #lastBefore(start: number, set: ReadonlySet<number>): (string | undefined)[] {
    const found = new Set<string | undefined>();
    const seen = new Set<number>();
    const open = [start];
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      const parents = this.#history.parentsOf(index);
      if (parents.length < (this.#history.commits[index]?.parents.length ?? 0) || parents.length === 0)
        found.add(undefined);
      for (const parent of parents) {
        if (seen.has(parent)) continue;
        seen.add(parent);
        if (set.has(parent) || this.#skipped.has(parent)) open.push(parent);
        else found.add(this.#id(parent));
      }
    }
    return [...found];
  }

  #id(index: number): string {
    return this.#history.commits[index]?.id ?? '';
  }

  #find(commit: string): number {
    const index = this.#history.indexOf(commit);
    if (index === undefined)
      throw new QmpilotError('USAGE', `commit ${commit} is not part of the history that is bisected`);
    return index;
  }
}

const NOTHING: Count = { failures: 0, attempts: 0 };

/** The positions from 0 to `size` - 1, those near `start` first: neighbours of a commit tell most of the others apart from it. */
function* outwards(start: number, size: number): Generator<number> {
  yield start;
  for (let distance = 1; distance < size; distance += 1) {
    if (start - distance >= 0) yield start - distance;
    if (start + distance < size) yield start + distance;
  }
}
