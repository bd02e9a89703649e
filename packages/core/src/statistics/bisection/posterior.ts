import type { Count } from '../count.js';
import type { History } from './history.js';
import type { RateModel } from './rate-model.js';

/** Hypotheses that no attempt so far tells apart: the same tested commits contain each of them. */
export interface HypothesisGroup {
  /** Probability of the whole group. */
  readonly probability: number;
  /** Attempts on tested commits that contain the culprit, were it of this group. */
  readonly after: Count;
  /** All other attempts. */
  readonly before: Count;
}

interface Tested {
  readonly index: number;
  failures: number;
  attempts: number;
}

/** The position of the good end, which contains no commit of the range. */
export const GOOD_END = -1;

/**
 * The probability that a commit is the culprit, for each commit of a history: change point with a rate before and a rate after it.
 * A uniform prior over the commits; the rates are integrated out.
 */
export class Posterior {
  /** The probability of each commit, by its position in the history. */
  readonly weights: Float64Array;
  readonly #history: History;
  readonly #before: RateModel;
  readonly #after: RateModel;
  readonly #tested: Tested[] = [];
  /** Pairs of positions in `#tested` of commits that are built from the same code. */
  readonly #equal: (readonly [number, number])[] = [];
  /** For each commit the number of its group; for each group which tested commits contain its members. */
  readonly #groupOf: Uint32Array;
  readonly #containedIn: boolean[][] = [[]];
  readonly #sizes: number[];
  /** The members of each group, a bit for each commit: made when they are asked for. */
  #members: Uint32Array[] | undefined;
  #groups: readonly HypothesisGroup[] = [];
  #isContradicted = false;

  constructor(history: History, rates: { readonly before: RateModel; readonly after: RateModel }) {
    this.#history = history;
    this.#before = rates.before;
    this.#after = rates.after;
    this.weights = new Float64Array(history.size).fill(1 / history.size);
    this.#groupOf = new Uint32Array(history.size);
    this.#sizes = [history.size];
    this.#update();
  }

  get groups(): readonly HypothesisGroup[] {
    return this.#groups;
  }

  /** Whether each hypothesis is impossible: the rates or equal builds that were given cannot be right. */
  get isContradicted(): boolean {
    return this.#isContradicted;
  }

  /** Returns the number of the group that a commit belongs to. */
  groupOf(index: number): number {
    return this.#groupOf[index] ?? 0;
  }

  /** Returns which part of a group a commit contains: 0 to 1. */
  shareInside(group: number, index: number): number {
    this.#members ??= this.#collectMembers();
    const members = this.#members[group];
    return members === undefined ? 0 : this.#history.countIncluded(index, members) / (this.#sizes[group] ?? 1);
  }

  /** Adds attempts on a commit, or on the good end (`GOOD_END`). */
  observe(index: number, { failures, attempts }: Count): void {
    let tested = this.#tested.find((one) => one.index === index);
    if (tested === undefined) {
      tested = { index, failures: 0, attempts: 0 };
      this.#tested.push(tested);
      this.#split(index);
    }
    tested.failures += failures;
    tested.attempts += attempts;
    this.#update();
  }

  /** Returns a posterior with the same attempts, and takes none of those that come after. */
  copy(): Posterior {
    const copy = new Posterior(this.#history, { before: this.#before, after: this.#after });
    copy.#tested.push(...this.#tested.map((one) => ({ ...one })));
    copy.#equal.push(...this.#equal);
    copy.#groupOf.set(this.#groupOf);
    copy.#containedIn.splice(0, 1, ...this.#containedIn);
    copy.#sizes.splice(0, 1, ...this.#sizes);
    copy.#members = this.#members;
    copy.#groups = this.#groups;
    copy.#isContradicted = this.#isContradicted;
    copy.weights.set(this.weights);
    return copy;
  }

  /** Returns the probability that a commit contains the culprit. */
  probabilityInside(index: number): number {
    return this.#groups.reduce((sum, { probability }, group) => sum + probability * this.shareInside(group, index), 0);
  }

  /** Rules out what only one of two commits contains (`GOOD_END` is one, too): both fail equally often. */
  equate(one: number, other: number): void {
    for (const index of [one, other]) this.observe(index, { failures: 0, attempts: 0 });
    const position = (index: number) => this.#tested.findIndex((tested) => tested.index === index);
    this.#equal.push([position(one), position(other)]);
    this.#update();
  }

  /** Splits each group by whether the commit contains its members. */
  #split(index: number): void {
    const numbers = new Int32Array(2 * this.#containedIn.length).fill(-1);
    const containedIn: boolean[][] = [];
    const sizes: number[] = [];
    for (let hypothesis = 0; hypothesis < this.#groupOf.length; hypothesis += 1) {
      const old = this.#groupOf[hypothesis] ?? 0;
      const inside = index !== GOOD_END && this.#history.includes(index, hypothesis);
      const key = 2 * old + Number(inside);
      let group = numbers[key] ?? -1;
      if (group === -1) {
        group = containedIn.length;
        numbers[key] = group;
        containedIn.push([...(this.#containedIn[old] ?? []), inside]);
        sizes.push(0);
      }
      this.#groupOf[hypothesis] = group;
      sizes[group] = (sizes[group] ?? 0) + 1;
    }
    this.#members = undefined;
    this.#containedIn.splice(0, this.#containedIn.length, ...containedIn);
    this.#sizes.splice(0, this.#sizes.length, ...sizes);
  }

  #collectMembers(): Uint32Array[] {
    const words = Math.ceil(this.weights.length / 32);
    const members = this.#sizes.map(() => new Uint32Array(words));
    for (const [hypothesis, group] of this.#groupOf.entries()) {
      const set = members[group];
      if (set) set[hypothesis >>> 5] = (set[hypothesis >>> 5] ?? 0) | (1 << (hypothesis & 31));
    }
    return members;
  }

  #update(): void {
    const sides = this.#containedIn.map((contained) => this.#sides(contained));
    const logs = sides.map(
      ({ before, after }, group) =>
        Math.log(this.#isRuledOut(group) ? 0 : (this.#sizes[group] ?? 0)) +
        this.#before.logLikelihood(before) +
        this.#after.logLikelihood(after),
    );
    const highest = Math.max(...logs);
    this.#isContradicted = !Number.isFinite(highest);
    const shares = this.#isContradicted ? this.#sizes : logs.map((log) => Math.exp(log - highest));
    const sum = shares.reduce((total, share) => total + share, 0);
    this.#groups = sides.map((side, group) => ({ ...side, probability: (shares[group] ?? 0) / sum }));
    for (let hypothesis = 0; hypothesis < this.weights.length; hypothesis += 1) {
      const group = this.#groupOf[hypothesis] ?? 0;
      this.weights[hypothesis] = (this.#groups[group]?.probability ?? 0) / (this.#sizes[group] ?? 1);
    }
  }

  #isRuledOut(group: number): boolean {
    const contained = this.#containedIn[group];
    return this.#equal.some(([one, other]) => contained?.[one] !== contained?.[other]);
  }

  #sides(contained: readonly boolean[]): { readonly before: Count; readonly after: Count } {
    const before = { failures: 0, attempts: 0 };
    const after = { failures: 0, attempts: 0 };
    for (const [position, { failures, attempts }] of this.#tested.entries()) {
      const side = contained[position] === true ? after : before;
      side.failures += failures;
      side.attempts += attempts;
    }
    return { before, after };
  }
}
