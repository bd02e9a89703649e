import { access } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { AbortedError, QmpilotError } from '../../errors.js';
import { CHECKPOINTS_FOLDER, checkpointFolder } from '../../run-files/checkpoint-paths.js';
import { WHEN_FOLDER, type WhenResult } from '../../run-files/when-file.js';
import { RiseSearch, type RiseAttempt } from '../../statistics/rise/rise-search.js';
import { openSavedSnapshot } from '../../vm/start/open-saved-snapshot.js';
import { makeAttempt } from '../attempt/make-attempt.js';
import { reportAtEnd } from '../reports/write-report.js';
import { chooseForks, hostCapacity } from '../run/fork-count.js';
import { seedOfText } from '../run/seed.js';
import type { Scenario } from '../scenario.js';
import { CheckpointSource } from './checkpoint-source.js';
import { curveOf, keyOf, recordOf } from './curve.js';
import { readInterval } from './interval.js';
import { notesOn } from './notes.js';
import { restOfAttempt } from './rest-of-attempt.js';
import { checkScenario, readWhenInput, type WhenInput } from './when-input.js';
import { WhenJournal, type WhenFork } from './when-journal.js';
import { checkWhenOptions, type WhenEvent, type WhenOptions } from './when-options.js';

const DEFAULT_FORKS = 300;
/** The reason of the signal of forks that are not needed any more. */
const ENOUGH = Symbol('enough was seen');

/** Opens the journal of the attempt, and makes forks until there is a result; what `measureWhen` does. */
export async function executeWhen(scenario: Scenario, options: WhenOptions): Promise<WhenResult> {
  checkWhenOptions(options);
  const { acceptChanges = false, fresh = false, source, keep } = options;
  const input = await readWhenInput(options.run, options.attempt);
  checkScenario(input, scenario, source?.sha256, acceptChanges);
  if (keep !== undefined) await mustNotExist(keep);
  const about = { v: 1 as const, ...(source && { source: source.sha256 }) };
  const journal = await WhenJournal.open(join(input.folder, WHEN_FOLDER), about, { fresh, acceptChanges });
  try {
    return await new When(scenario, options, input, journal).execute();
  } finally {
    journal.close();
  }
}

class When {
  readonly #scenario: Scenario;
  readonly #options: WhenOptions;
  readonly #input: WhenInput;
  readonly #journal: WhenJournal;
  readonly #tell: (event: WhenEvent) => void;
  readonly #search: RiseSearch;
  readonly #source: CheckpointSource;
  readonly #known: ReadonlyMap<string, WhenFork>;
  readonly #stop = new AbortController();
  #running = 0;
  #waiting: (() => void)[] = [];
  #shown = '';

  constructor(scenario: Scenario, options: WhenOptions, input: WhenInput, journal: WhenJournal) {
    this.#scenario = scenario;
    this.#options = options;
    this.#input = input;
    this.#journal = journal;
    this.#tell = options.onEvent ?? (() => {});
    const { checkpoints, failure, start } = input;
    this.#search = new RiseSearch({
      times: checkpoints.list.map(({ at }) => at),
      startTime: 0,
      start,
      endTime: Math.max(failure.at, checkpoints.list.at(-1)?.at ?? 0),
      maxAttempts: options.maxForks ?? DEFAULT_FORKS,
      ...(options.batch !== undefined && { batch: options.batch }),
      ...(options.confidence !== undefined && { confidence: options.confidence }),
    });
    this.#source = new CheckpointSource((number) => join(input.dir, this.#checkpointPath(number)), options.qemu);
    this.#known = new Map(journal.forks.map((fork) => [keyOf(fork), fork]));
  }

  async execute(): Promise<WhenResult> {
    const { dir, record, failure, checkpoints } = this.#input;
    const { list } = checkpoints;
    const done = this.#journal.forks.length;
    this.#tell({ type: 'when', dir, attempt: record.index, failure, checkpoints: list.length, done });
    const { forks, reason } = this.#forks();
    this.#tell({ type: 'forks', forks, reason });
    const { signal } = this.#options;
    const onAbort = () => this.#end(signal?.reason);
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const workers = await Promise.allSettled(Array.from({ length: forks }, (_, fork) => this.#work(fork + 1)));
      if (signal?.aborted) throw new AbortedError('the search for the rise', signal.reason);
      const failed = workers.find((worker) => worker.status === 'rejected');
      if (failed) throw failed.reason;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      await this.#source.close();
    }
    const result = await this.#result();
    await this.#journal.finish(result);
    await reportAtEnd(dir, (event) => {
      if (event.type === 'progress') this.#tell(event);
    });
    await this.#keep(result);
    this.#tell({ type: 'result', result });
    return result;
  }

  #forks(): { forks: number; reason: string } {
    const { run } = this.#input;
    const { cpus = 1, memoryMiB = 512 } = run.facts ?? {};
    const { forks, maxForks = DEFAULT_FORKS } = this.#options;
    return chooseForks(forks, { cpus, memoryMiB }, maxForks, hostCapacity());
  }

  /** Makes forks one after the other, until there is a result. */
  async #work(worker: number): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const attempt = this.#search.next();
      if (!attempt) {
        if (this.#search.result || this.#running === 0) return;
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
        continue;
      }
      this.#running += 1;
      try {
        const fork = this.#known.get(keyOf(this.#nameOf(attempt))) ?? (await this.#make(attempt, worker));
        this.#search.observe(attempt, fork.outcome === 'inconclusive' ? undefined : fork.outcome === 'reproduced');
        this.#show(attempt, fork);
        if (this.#search.result) this.#end(ENOUGH);
      } catch (error) {
        // An error after the stop is a consequence of it.
        if (this.#stop.signal.aborted) return;
        this.#end(error);
        throw error;
      } finally {
        this.#running -= 1;
        this.#wake();
      }
    }
  }

  #end(reason: unknown): void {
    this.#stop.abort(reason);
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #nameOf({ point, ordinal }: RiseAttempt): { checkpoint: number; ordinal: number } {
    return { checkpoint: this.#checkpointAt(point).number, ordinal };
  }

  #checkpointAt(point: number) {
    const checkpoint = this.#input.checkpoints.list[point];
    if (!checkpoint) throw new RangeError(`no checkpoint ${point}`);
    return checkpoint;
  }

  async #make(attempt: RiseAttempt, worker: number): Promise<WhenFork> {
    const { run, record } = this.#input;
    const checkpoint = this.#checkpointAt(attempt.point);
    const name = this.#nameOf(attempt);
    const seed = seedOfText(`${run.seed} when ${record.index} ${name.checkpoint} ${name.ordinal}`);
    const { scenario, timeout } = restOfAttempt(this.#scenario, this.#input, checkpoint);
    const made = await makeAttempt(
      scenario,
      {
        index: name.ordinal + 1,
        fork: worker,
        seed,
        timeout,
        claimDump: () => false,
        signal: this.#stop.signal,
        openFiles: (now, onFailure) => this.#journal.begin(name, now, onFailure),
      },
      (taken) => this.#source.take(name.checkpoint, { ...taken, seed }),
      () => {},
    );
    this.#stop.signal.throwIfAborted();
    const fork = recordOf(made, name);
    this.#journal.append(fork);
    return fork;
  }

  #show(attempt: RiseAttempt, fork: WhenFork): void {
    const { failures, attempts } = this.#search.counts[attempt.point] ?? { failures: 0, attempts: 0 };
    this.#tell({ type: 'fork', fork, at: this.#checkpointAt(attempt.point).at, failures, attempts });
    const { rise } = this.#search;
    const text = `${rise?.from} ${rise?.to}`;
    if (!rise || text === this.#shown) return;
    this.#shown = text;
    this.#tell({ type: 'rise', from: this.#timeOf(rise.from), to: this.#timeOf(rise.to) });
  }

  #timeOf(place: number): number {
    if (place < 0) return 0;
    return this.#input.checkpoints.list[place]?.at ?? this.#input.failure.at;
  }

  #checkpointPath(number: number): string {
    const { dir, folder } = this.#input;
    return relative(dir, join(folder, CHECKPOINTS_FOLDER, checkpointFolder(number)));
  }

  async #result(): Promise<WhenResult> {
    const { record, failure, folder } = this.#input;
    const { verdict, rise: found, limited } = this.#search.result ?? { verdict: 'unconfirmed' as const, limited: true };
    const points = curveOf(this.#input, this.#journal.forks);
    // Places count from the first checkpoint, points from the start.
    const rise = found && { from: found.from + 1, to: found.to + 1 };
    const before = rise && points[rise.from];
    const after = rise && points[rise.to];
    const forks = this.#journal.forks;
    const judged = this.#scenario.fromCheckpoint !== undefined;
    return {
      v: 1,
      type: 'when',
      attempt: record.index,
      failure,
      verdict,
      limited,
      confidence: this.#options.confidence ?? 0.95,
      points,
      ...(rise && {
        rise: { ...rise, ...(before?.number !== undefined && { checkpoint: this.#checkpointPath(before.number) }) },
      }),
      ...(before && after && { interval: await readInterval(folder, before.at, after.at) }),
      forks: forks.length,
      inconclusive: forks.filter(({ outcome }) => outcome === 'inconclusive').length,
      notes: notesOn({ points, failure, forks, limited, verdict, judged }),
    };
  }

  async #keep({ rise }: WhenResult): Promise<void> {
    const { keep, qemu, signal } = this.#options;
    if (keep === undefined) return;
    if (rise?.checkpoint === undefined) {
      this.#tell({ type: 'progress', message: `no checkpoint is before the rise: nothing was saved to ${keep}` });
      return;
    }
    const snapshot = await openSavedSnapshot(join(this.#input.dir, rise.checkpoint), { qemu });
    try {
      await snapshot.save(keep, { signal });
      this.#tell({ type: 'progress', message: `saved ${rise.checkpoint} to ${keep}` });
    } finally {
      await snapshot.close();
    }
  }
}

async function mustNotExist(keep: string): Promise<void> {
  const path = resolve(keep);
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (exists)
    throw new QmpilotError('ALREADY_EXISTS', `${path} already exists`, {
      hint: 'choose another path, or remove it first',
    });
}
