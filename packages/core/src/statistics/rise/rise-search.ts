import { QmpilotError } from '../../errors.js';
import type { Count } from '../count.js';
import { fisherExact } from '../fisher.js';
import { SequentialTest } from '../sequential-test.js';
import { biggestRise, middleOf, type Place, type Rise } from './rises.js';

/** What is searched, and how much may be spent on it. */
export interface RiseSearchOptions {
  /** The times of the points, such as milliseconds of an attempt, in ascending order. */
  readonly times: readonly number[];
  /** The time before the first point at which all attempts begin. */
  readonly startTime: number;
  /** Attempts from there; they are given, and the search makes none. With fewer than `batch` no rise from there is looked for. */
  readonly start: Count;
  /** The time after the last point at which the failure has occurred: its probability is 1 there. */
  readonly endTime: number;
  /** Attempts at a point before the search decides where to go on. Default: 12. */
  readonly batch?: number;
  /** Attempts at both sides of the rise, at least, which were made after it was found. Default: 20. */
  readonly confirmations?: number;
  /** A wrong confirmation has a probability of at most 1 - confidence. Default: 0.95. */
  readonly confidence?: number;
  /** Attempts at all points together, inconclusive ones included. Default: 300. */
  readonly maxAttempts?: number;
}

/** One attempt to make: the `ordinal`th from the point, from 0. */
export interface RiseAttempt {
  readonly point: number;
  readonly ordinal: number;
}

/**
 * - `confirmed`: attempts that were made after the rise was found show it.
 * - `unconfirmed`: they do not.
 * - `decided`: at the first point the failure is as probable as later on: it is decided before.
 */
export type RiseVerdict = 'confirmed' | 'unconfirmed' | 'decided';

/** The result of a search. */
export interface RiseResult {
  readonly verdict: RiseVerdict;
  /** The biggest rise: between two neighbouring points, or from a point to the end; undefined for `decided`, and when nothing was measured. */
  readonly rise: Rise | undefined;
  /** The search ended because `maxAttempts` were made. */
  readonly limited: boolean;
}

/** Below this difference of probabilities nothing is called a rise. */
const LEAST_RISE = 0.1;

/** Pairs that are tried before the search ends without a confirmation. */
const MAX_TRIES = 3;

interface Confirmation {
  readonly rise: Rise;
  /** For each side, the ordinal of its first attempt after the rise was found. */
  readonly fresh: ReadonlyMap<number, number>;
  /** Attempts of each side before the rise is compared with the others again. */
  until: number;
}

/**
 * Finds where the probability of a failure rises in the course of an attempt, by attempts from points on its way.
 *
 * Measures the first and the last point, then goes on in the middle of those neighbours between which the probability rises most, until they
 * have no point between them. As it chose this pair for its big difference, that difference is likely too big; so a
 * sequential test decides by further attempts alone whether the later point fails more often. When these show that another rise
 * is bigger, the search goes on there; a rise that it returns to keeps the attempts of its confirmation.
 *
 * What it does next depends only on the outcomes by point and ordinal, not on the order in which parallel attempts end; so a
 * search can be repeated from a record of them.
 */
export class RiseSearch {
  readonly #options: Required<RiseSearchOptions>;
  readonly #outcomes: Map<number, boolean | undefined>[];
  readonly #issued: number[];
  /** Points that are measured now, and the attempts that each gets. */
  #wanted: readonly number[];
  #batch: number;
  #confirmation: Confirmation | undefined;
  /** All confirmations that were begun, by the beginning of their rise. */
  readonly #confirmations = new Map<Place, Confirmation>();
  /** Rises that further attempts did not show, by their beginning. */
  readonly #tried = new Map<Place, Rise>();
  #result: RiseResult | undefined;

  /** @throws {USAGE} without points, for times that are not ascending, and for counts that are not whole numbers of at least 1 */
  constructor({ batch = 12, confirmations = 20, confidence = 0.95, maxAttempts = 300, ...rest }: RiseSearchOptions) {
    this.#options = { batch, confirmations, confidence, maxAttempts, ...rest };
    const { times, startTime, endTime } = rest;
    if (times.length === 0) throw new QmpilotError('USAGE', 'invalid times: there is no point');
    const all = [startTime, ...times, endTime];
    if (all.some((time, index) => !Number.isFinite(time) || time < (all[index - 1] ?? time)))
      throw new QmpilotError('USAGE', 'invalid times: they have to be in ascending order');
    for (const [name, value] of Object.entries({ batch, confirmations, maxAttempts }))
      if (!Number.isSafeInteger(value) || value < 1)
        throw new QmpilotError('USAGE', `invalid ${name}: ${value} is not a whole number of at least 1`);
    this.#outcomes = times.map(() => new Map());
    this.#issued = times.map(() => 0);
    this.#wanted = [...new Set([0, times.length - 1])];
    this.#batch = batch;
    // Checks the confidence.
    this.#newTest();
  }

  /** The result; undefined while attempts are to be made. */
  get result(): RiseResult | undefined {
    return this.#result;
  }

  /** Attempts that `next` has returned. */
  get issued(): number {
    return this.#issued.reduce((sum, each) => sum + each, 0);
  }

  /** The attempts with an outcome, for each point. */
  get counts(): Count[] {
    return this.#outcomes.map((outcomes) => countOf([...outcomes.values()]));
  }

  /** Between which points the search is at present; undefined before the first rise. */
  get rise(): Rise | undefined {
    return this.#result?.rise ?? this.#confirmation?.rise ?? this.#biggest();
  }

  /** Returns the next attempt to make; undefined when those that are under way decide what comes next, and when there is a result. */
  next(): RiseAttempt | undefined {
    if (this.#result || this.issued >= this.#options.maxAttempts) return undefined;
    const point = this.#confirmation ? this.#sideToConfirm(this.#confirmation) : this.#pointToMeasure();
    if (point === undefined) return undefined;
    const ordinal = this.#issued[point] ?? 0;
    this.#issued[point] = ordinal + 1;
    return { point, ordinal };
  }

  /** Adds the outcome of an attempt that `next` returned; undefined when it came to no verdict. @throws {USAGE} for any other */
  observe({ point, ordinal }: RiseAttempt, failed: boolean | undefined): void {
    const outcomes = this.#outcomes[point];
    if (!outcomes || ordinal >= (this.#issued[point] ?? 0) || outcomes.has(ordinal))
      throw new QmpilotError('USAGE', `attempt ${ordinal} from point ${point} is not under way`);
    outcomes.set(ordinal, failed);
    if (this.#result === undefined) this.#decide();
  }

  #pointToMeasure(): number | undefined {
    return this.#wanted
      .map((point) => ({ point, planned: this.#planned(point) }))
      .filter(({ planned }) => planned < this.#batch)
      .toSorted((one, other) => one.planned - other.planned)[0]?.point;
  }

  /** Attempts from a point that have a verdict or may still get one. */
  #planned(point: number): number {
    const without = [...(this.#outcomes[point]?.values() ?? [])].filter((failed) => failed === undefined).length;
    return (this.#issued[point] ?? 0) - without;
  }

  #sideToConfirm({ fresh, until }: Confirmation): number | undefined {
    const open = [...fresh].map(([point, first]) => ({ point, made: (this.#issued[point] ?? 0) - first }));
    const [least, other] = open.toSorted((one, two) => one.made - two.made || two.point - one.point);
    if (!least) return undefined;
    // One side alone has nothing to wait for but its number.
    const enough = other ? least.made >= until : this.#freshPlanned(least.point, fresh) >= this.#options.confirmations;
    return enough ? undefined : least.point;
  }

  #freshPlanned(point: number, fresh: Confirmation['fresh']): number {
    const first = fresh.get(point) ?? 0;
    const without = [...(this.#outcomes[point] ?? [])].filter(
      ([ordinal, failed]) => ordinal >= first && failed === undefined,
    ).length;
    return (this.#issued[point] ?? 0) - first - without;
  }

  #decide(): void {
    const complete = this.#outcomes.every((outcomes, point) => outcomes.size === this.#issued[point]);
    if (this.#confirmation && complete) this.#compare(this.#confirmation);
    if (this.#confirmation) this.#confirm(this.#confirmation);
    // All outcomes at once: the choice must not depend on the order in which attempts end.
    if (!this.#result && !this.#confirmation && complete && this.#pointToMeasure() === undefined) this.#goOn();
    if (this.#result === undefined && complete && this.issued >= this.#options.maxAttempts)
      this.#result = { verdict: 'unconfirmed', rise: this.rise, limited: true };
  }

  /** Chooses what to measure next, or confirms the rise that was found. */
  #goOn(): void {
    const rise = this.#biggest();
    if (!rise || rise.by < LEAST_RISE) {
      // One batch can miss a rise by chance, unless all of it failed.
      const { batch, confirmations } = this.#options;
      const doubtful = this.counts.some(({ failures, attempts }) => failures < attempts);
      if (doubtful && this.#tried.size === 0 && this.#batch === batch) {
        this.#batch = batch + confirmations;
        this.#wanted = [...new Set([0, this.#outcomes.length - 1])];
        // They may have had as many, as sides of a rise.
        if (this.#pointToMeasure() !== undefined) return;
      }
      const last = this.counts.at(-1);
      const decided = last !== undefined && last.failures * 2 > last.attempts && this.#tried.size === 0;
      const [tried] = this.#tried.values();
      this.#result = { verdict: decided ? 'decided' : 'unconfirmed', rise: tried, limited: false };
      return;
    }
    const middle = middleOf(rise, this.#options);
    if (middle !== undefined) {
      this.#wanted = [middle];
      return;
    }
    const sides = [rise.from, rise.to].filter((point) => point >= 0 && point < this.#outcomes.length);
    const fresh =
      this.#confirmations.get(rise.from)?.fresh ?? new Map(sides.map((point) => [point, this.#issued[point] ?? 0]));
    // Both sides may have got attempts meanwhile, as sides of other rises.
    const made = Math.min(...[...fresh].map(([point, first]) => (this.#issued[point] ?? 0) - first));
    this.#confirmation = { rise, fresh, until: made + this.#options.confirmations };
    this.#confirmations.set(rise.from, this.#confirmation);
  }

  /** Leaves a confirmation whose attempts make another rise the biggest: equal sides would take all attempts there are. */
  #compare(confirmation: Confirmation): void {
    const { rise, fresh } = confirmation;
    if (fresh.size === 1 || this.#sideToConfirm(confirmation) !== undefined) return;
    if (this.#biggest()?.from === rise.from) confirmation.until += this.#options.confirmations;
    else this.#confirmation = undefined;
  }

  #confirm({ rise, fresh }: Confirmation): void {
    const { confirmations } = this.#options;
    const sides = [...fresh].map(([point, first]) => this.#freshOutcomes(point, first));
    const enough = sides.every(({ length }) => length >= confirmations);
    const [later, earlier] = fresh.size === 2 ? [sides[1], sides[0]] : [];
    if (later && earlier) {
      const decision = this.#test(earlier, later);
      if (decision === 'holds' && enough) this.#end('confirmed', rise);
      else if (decision === 'refuted') this.#tryAnother(rise);
      return;
    }
    if (!enough) return;
    const [only = []] = sides;
    const { start, confidence } = this.#options;
    const shown =
      rise.from < 0 ? fisherExact(countOf(only), start).greater <= 1 - confidence : only.some((failed) => !failed);
    if (shown) this.#end('confirmed', rise);
    else this.#tryAnother(rise);
  }

  /** The verdicts from one ordinal on, up to the first attempt that is under way: those that end early would count first. */
  #freshOutcomes(point: number, first: number): boolean[] {
    const outcomes = this.#outcomes[point];
    const found: boolean[] = [];
    for (let ordinal = first; outcomes?.has(ordinal); ordinal += 1) {
      const failed = outcomes.get(ordinal);
      if (failed !== undefined) found.push(failed);
    }
    return found;
  }

  /** Takes attempts in pairs: where both sides fail equally often, a pair in which one fails is as likely to be one of either side. */
  #test(earlier: readonly boolean[], later: readonly boolean[]) {
    const test = this.#newTest();
    for (const [index, failed] of later.entries()) {
      const other = earlier[index];
      if (other !== undefined && other !== failed) test.push(failed);
    }
    return test.decision;
  }

  #newTest(): SequentialTest {
    return new SequentialTest({ rate: 0.5, relation: '>', confidence: this.#options.confidence });
  }

  #end(verdict: RiseVerdict, rise: Rise): void {
    // The attempts of the confirmation make it more precise.
    const by = this.#biggest([rise])?.by ?? rise.by;
    this.#result = { verdict, rise: { ...rise, by }, limited: false };
  }

  #tryAnother(rise: Rise): void {
    this.#tried.set(rise.from, rise);
    this.#confirmation = undefined;
    if (this.#tried.size >= MAX_TRIES) this.#result = { verdict: 'unconfirmed', rise, limited: false };
  }

  #biggest(only?: readonly Rise[]): Rise | undefined {
    const { start, batch, times } = this.#options;
    const counts = this.counts.map((count) => (count.attempts >= batch ? count : undefined));
    const known = new Map<Place, Count | 'certain'>([
      ...(start.attempts >= batch ? [[-1, start] as const] : []),
      ...counts.flatMap((count, point) => (count ? [[point, count] as const] : [])),
      [times.length, 'certain'],
    ]);
    return biggestRise(known, ({ from }) => (only ? only.some((rise) => rise.from === from) : !this.#tried.has(from)));
  }
}

function countOf(outcomes: readonly (boolean | undefined)[]): Count {
  const verdicts = outcomes.filter((failed) => failed !== undefined);
  return { failures: verdicts.filter(Boolean).length, attempts: verdicts.length };
}
