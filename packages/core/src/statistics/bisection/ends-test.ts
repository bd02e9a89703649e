import { QmpilotError } from '../../errors.js';
import type { Count } from '../count.js';
import { SequentialTest } from '../sequential-test.js';

/** An end of the range that is bisected. */
export type BisectionEnd = 'good' | 'bad';

/**
 * - `open`: more attempts are needed.
 * - `differ`: the bad end fails more often.
 * - `reversed`: the good end fails more often; the ends may be swapped.
 * - `indistinct`: the limit of attempts is reached without a decision.
 */
export type EndsDecision = 'open' | 'differ' | 'reversed' | 'indistinct';

/** Limits of the test. */
export interface EndsTestOptions {
  /** Default: 0.95. A wrong `differ` or `reversed` has a probability of at most 1 - confidence each. */
  readonly confidence?: number;
  /** Attempts at each end, at most. Default: 1000. */
  readonly maxAttempts?: number;
}

/**
 * Tests whether the bad end fails more often than the good end, before anything is bisected. Looks after every attempt.
 *
 * Takes attempts in pairs, one at each end. If the rates are equal, a pair in which only one end fails is as likely to be one of
 * the good end as one of the bad end, whatever the rates are: a sequential test of these pairs decides. Five failures at the bad
 * end without one at the good end are enough with a confidence of 95 %.
 *
 * ```ts
 * const ends = new EndsTest();
 * for (let end = ends.next(); end; end = ends.next()) ends.observe(end, await fails(end));
 * if (ends.decision !== 'differ') throw new Error(ends.describe());
 * ```
 */
export class EndsTest {
  readonly #test: SequentialTest;
  readonly #maxAttempts: number;
  readonly #counts = { good: { failures: 0, attempts: 0 }, bad: { failures: 0, attempts: 0 } };
  /** The attempt at the bad end that waits for its counterpart. */
  #pending: boolean | undefined;

  /** @throws {USAGE} when the confidence is not between 0 and 1, or `maxAttempts` is not a whole number of at least 1 */
  constructor({ confidence = 0.95, maxAttempts = 1000 }: EndsTestOptions = {}) {
    if (!Number.isSafeInteger(maxAttempts) || maxAttempts < 1)
      throw new QmpilotError('USAGE', `invalid maxAttempts: ${maxAttempts} is not a whole number of at least 1`);
    this.#test = new SequentialTest({ rate: 0.5, relation: '>', confidence });
    this.#maxAttempts = maxAttempts;
  }

  /** Returns the end to try next, or undefined when the test has ended. Repeat an attempt that came to no verdict. */
  next(): BisectionEnd | undefined {
    if (this.decision !== 'open') return undefined;
    return this.#pending === undefined ? 'bad' : 'good';
  }

  /** Adds one attempt. @throws {USAGE} when it is not at the end that `next()` returns */
  observe(end: BisectionEnd, failed: boolean): void {
    if (end !== this.next())
      throw new QmpilotError('USAGE', `cannot add an attempt at the ${end} end: ${this.#expected()}`);
    this.#counts[end].attempts += 1;
    if (failed) this.#counts[end].failures += 1;
    if (this.#pending === undefined) {
      this.#pending = failed;
      return;
    }
    if (this.#pending !== failed) this.#test.push(this.#pending);
    this.#pending = undefined;
  }

  get decision(): EndsDecision {
    if (this.#test.decision === 'holds') return 'differ';
    if (this.#test.decision === 'refuted') return 'reversed';
    return this.#counts.good.attempts >= this.#maxAttempts ? 'indistinct' : 'open';
  }

  /** The attempts so far at each end. */
  get counts(): { readonly good: Count; readonly bad: Count } {
    return { good: { ...this.#counts.good }, bad: { ...this.#counts.bad } };
  }

  /** Returns the result in one line, such as `the rates do not differ: 3 of 40 at the bad end, 1 of 40 at the good end`. */
  describe(): string {
    const { good, bad } = this.#counts;
    const seen = `${bad.failures} of ${bad.attempts} at the bad end, ${good.failures} of ${good.attempts} at the good end`;
    switch (this.decision) {
      case 'differ':
        return `the bad end fails more often: ${seen}`;
      case 'reversed':
        return `the good end fails more often, the ends may be swapped: ${seen}`;
      case 'indistinct':
        return bad.failures === 0 && good.failures === 0
          ? `no failure at either end: ${seen}`
          : `the rates do not differ: ${seen}`;
      case 'open':
        return `not decided yet: ${seen}`;
    }
  }

  #expected(): string {
    const next = this.next();
    return next === undefined ? 'the test has ended' : `the next attempt is one at the ${next} end`;
  }
}
