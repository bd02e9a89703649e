import { RiseSearch, type RiseAttempt } from '../../statistics/rise/rise-search.js';
import { keyOf, type ForkName } from './curve.js';
import type { WhenInput } from './when-input.js';
import type { WhenFork, WhenJournal } from './when-journal.js';
import type { WhenEvent, WhenOptions } from './when-options.js';

/** Most forks, by default. */
export const DEFAULT_FORKS = 300;

/** Decides which forks are made next, and takes what came of them; forks that the journal has are not made again. */
export class ForkSearch {
  readonly #input: WhenInput;
  readonly #journal: WhenJournal;
  readonly #tell: (event: WhenEvent) => void;
  readonly #search: RiseSearch;
  readonly #known: ReadonlyMap<string, WhenFork>;
  /** Forks under way. */
  readonly #open = new Map<string, RiseAttempt>();
  #shown = '';

  constructor(
    input: WhenInput,
    journal: WhenJournal,
    { maxForks = DEFAULT_FORKS, batch, confidence }: Pick<WhenOptions, 'maxForks' | 'batch' | 'confidence'>,
    tell: (event: WhenEvent) => void,
  ) {
    this.#input = input;
    this.#journal = journal;
    this.#tell = tell;
    const { checkpoints, failure, start } = input;
    this.#search = new RiseSearch({
      times: checkpoints.list.map(({ at }) => at),
      startTime: 0,
      start,
      endTime: Math.max(failure.at, checkpoints.list.at(-1)?.at ?? 0),
      maxAttempts: maxForks,
      ...(batch !== undefined && { batch }),
      ...(confidence !== undefined && { confidence }),
    });
    this.#known = new Map(journal.forks.map((fork) => [keyOf(fork), fork]));
  }

  get result(): RiseSearch['result'] {
    return this.#search.result;
  }

  /** Returns the next fork to make; undefined when those under way decide what comes next, and when there is a result. */
  next(): ForkName | undefined {
    for (;;) {
      const attempt = this.#search.next();
      if (!attempt) return undefined;
      const name = { checkpoint: this.#checkpointAt(attempt.point).number, ordinal: attempt.ordinal };
      const known = this.#known.get(keyOf(name));
      if (!known) {
        this.#open.set(keyOf(name), attempt);
        return name;
      }
      this.#observe(attempt, known);
    }
  }

  /** Takes the outcome of a fork that `next` has returned. @throws {NO_SPACE} when it cannot be written */
  take(fork: WhenFork): void {
    const attempt = this.#open.get(keyOf(fork));
    if (!attempt) throw new RangeError(`fork ${keyOf(fork)} is not under way`);
    this.#open.delete(keyOf(fork));
    this.#journal.append(fork);
    this.#observe(attempt, fork);
  }

  #observe(attempt: RiseAttempt, fork: WhenFork): void {
    this.#search.observe(attempt, fork.outcome === 'inconclusive' ? undefined : fork.outcome === 'reproduced');
    const { failures, attempts } = this.#search.counts[attempt.point] ?? { failures: 0, attempts: 0 };
    this.#tell({ type: 'fork', fork, at: this.#checkpointAt(attempt.point).at, failures, attempts });
    const { rise } = this.#search;
    const text = `${rise?.from} ${rise?.to}`;
    if (!rise || text === this.#shown) return;
    this.#shown = text;
    this.#tell({ type: 'rise', from: this.#timeOf(rise.from), to: this.#timeOf(rise.to) });
  }

  #checkpointAt(point: number) {
    const checkpoint = this.#input.checkpoints.list[point];
    if (!checkpoint) throw new RangeError(`no checkpoint ${point}`);
    return checkpoint;
  }

  #timeOf(place: number): number {
    if (place < 0) return 0;
    return this.#input.checkpoints.list[place]?.at ?? this.#input.failure.at;
  }
}
