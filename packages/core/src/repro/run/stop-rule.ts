import { QmpilotError } from '../../errors.js';
import type { AttemptRecord } from '../../run-files/attempt-record.js';
import { formatRateGoal, parseRateGoal, type RateGoal } from '../../statistics/rate-goal.js';
import { SequentialTest, type Decision } from '../../statistics/sequential-test.js';

export interface StopOptions {
  readonly untilReproduced?: number | undefined;
  /** `rate<0.01@95%`. */
  readonly until?: string | undefined;
}

/** The result of `until` so far. */
export interface GoalVerdict {
  readonly goal: string;
  readonly decision: Decision;
}

/**
 * Decides when a run can stop. The test of a rate looks at the attempts in the order of their numbers, whichever ended first:
 * quick attempts would count more otherwise, and its error probabilities would not be the ones stated.
 */
export class StopRule {
  readonly #untilReproduced: number | undefined;
  readonly #goal: RateGoal | undefined;
  readonly #test: SequentialTest | undefined;
  readonly #indices: readonly number[];
  #next = 0;
  readonly #ended = new Map<number, AttemptRecord['outcome']>();
  #reproduced = 0;

  /** @throws {USAGE} for options that are invalid */
  static check({ untilReproduced, until }: StopOptions): void {
    if (untilReproduced !== undefined && !(Number.isInteger(untilReproduced) && untilReproduced >= 1)) {
      throw new QmpilotError('USAGE', `untilReproduced: ${untilReproduced} is not a whole number of 1 or more`);
    }
    if (until !== undefined) parseRateGoal(until);
  }

  /** `indices`: all that are planned, in order. @throws {USAGE} */
  constructor(options: StopOptions, indices: readonly number[]) {
    StopRule.check(options);
    const { untilReproduced, until } = options;
    this.#untilReproduced = untilReproduced;
    this.#goal = until === undefined ? undefined : parseRateGoal(until);
    this.#test = this.#goal && new SequentialTest(this.#goal);
    this.#indices = indices;
  }

  push({ index, outcome }: Pick<AttemptRecord, 'index' | 'outcome'>): void {
    if (outcome === 'reproduced') this.#reproduced += 1;
    this.#ended.set(index, outcome);
    for (let next = this.#indices[this.#next]; next !== undefined; next = this.#indices[this.#next]) {
      const ended = this.#ended.get(next);
      if (ended === undefined) return;
      this.#next += 1;
      this.#ended.delete(next);
      if (ended !== 'inconclusive' && this.#test?.decision === 'open') this.#test.push(ended === 'reproduced');
    }
  }

  /** The reason to stop the run; undefined while there is none. */
  get reached(): string | undefined {
    if (this.#untilReproduced !== undefined && this.#reproduced >= this.#untilReproduced)
      return `reproduced ${this.#reproduced} times`;
    const { verdict } = this;
    return verdict && verdict.decision !== 'open'
      ? `${verdict.goal} ${verdict.decision === 'holds' ? 'holds' : 'is refuted'}`
      : undefined;
  }

  get verdict(): GoalVerdict | undefined {
    return this.#goal && this.#test && { goal: formatRateGoal(this.#goal), decision: this.#test.decision };
  }
}
