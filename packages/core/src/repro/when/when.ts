import { access } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { AbortedError, QmpilotError } from '../../errors.js';
import type { AttemptRecord } from '../../run-files/attempt-record.js';
import { WHEN_FOLDER, type WhenResult } from '../../run-files/when-file.js';
import { openSavedSnapshot } from '../../vm/start/open-saved-snapshot.js';
import { reportAtEnd } from '../reports/write-report.js';
import type { AttemptQueue } from '../run/attempt-queue.js';
import { seedOfText } from '../run/seed.js';
import type { Scenario } from '../scenario.js';
import { curveOf, forkOfIndex, indexOfFork, recordOf } from './curve.js';
import { ForkMaker } from './fork-maker.js';
import { DEFAULT_FORKS, ForkSearch } from './fork-search.js';
import { readInterval } from './interval.js';
import { notesOn } from './notes.js';
import { checkScenario, readWhenInput, type WhenInput } from './when-input.js';
import { WhenJournal } from './when-journal.js';
import { checkWhenOptions, type WhenEvent, type WhenOptions } from './when-options.js';

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
  readonly #search: ForkSearch;
  readonly #stop = new AbortController();
  #running = 0;
  #waiting: (() => void)[] = [];

  constructor(scenario: Scenario, options: WhenOptions, input: WhenInput, journal: WhenJournal) {
    this.#scenario = scenario;
    this.#options = options;
    this.#input = input;
    this.#journal = journal;
    this.#tell = options.onEvent ?? (() => {});
    this.#search = new ForkSearch(input, journal, options, this.#tell);
  }

  async execute(): Promise<WhenResult> {
    const { dir, record, failure, checkpoints } = this.#input;
    const { queue, signal } = this.#options;
    const done = this.#journal.forks.length;
    this.#tell({ type: 'when', dir, attempt: record.index, failure, checkpoints: checkpoints.list.length, done });
    try {
      await (queue ? this.#makeOn(queue) : this.#makeHere());
    } catch (error) {
      throw signal?.aborted ? new AbortedError('the search for the rise', signal.reason) : error;
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

  async #makeHere(): Promise<void> {
    const { forks, maxForks: todo = DEFAULT_FORKS, qemu, signal } = this.#options;
    const maker = new ForkMaker(this.#scenario, this.#input, { forks, todo, qemu });
    this.#tell({ type: 'forks', forks: maker.forks, reason: maker.reason });
    const onAbort = () => this.#end(signal?.reason);
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const workers = await Promise.allSettled(
        Array.from({ length: maker.forks }, (_, fork) => this.#work(maker, fork + 1)),
      );
      signal?.throwIfAborted();
      const failed = workers.find((worker) => worker.status === 'rejected');
      if (failed) throw failed.reason;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      await maker.close();
    }
  }

  /** Makes forks one after the other, until there is a result. */
  async #work(maker: ForkMaker, worker: number): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const name = this.#search.next();
      if (!name) {
        if (this.#search.result) this.#end(ENOUGH);
        if (this.#search.result || this.#running === 0) return;
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
        continue;
      }
      this.#running += 1;
      try {
        const index = indexOfFork(name);
        const record = await maker.make({
          index,
          fork: worker,
          seed: this.#seedOf(index),
          claimDump: () => false,
          signal: this.#stop.signal,
          openFiles: (now, onFailure) => this.#journal.begin(name, now, onFailure),
        });
        this.#stop.signal.throwIfAborted();
        if (!this.#take(record)) this.#end(ENOUGH);
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

  async #makeOn(queue: AttemptQueue): Promise<void> {
    const { dir, run, record } = this.#input;
    await queue.makeAttempts({
      run: { ...run, name: `when of attempt ${record.index} of ${run.name}` },
      take: (count) => {
        const indices: number[] = [];
        for (let name = this.#search.next(); name; name = indices.length < count ? this.#search.next() : undefined)
          indices.push(indexOfFork(name));
        return indices;
      },
      seedOf: (index) => this.#seedOf(index),
      // A fork keeps no dump.
      dumped: true,
      fresh: false,
      guestKey: run.facts?.guest.key,
      checkpoints: { dir, attempt: record.index },
      signal: this.#options.signal,
      tell: (event) => {
        if (event.type === 'progress') this.#tell(event);
      },
      onPrepared: async () => {},
      onForks: async (forks, reason) => this.#tell({ type: 'forks', forks, reason }),
      accept: async (made, writeEvidence) => {
        await writeEvidence(await this.#journal.folderOf(forkOfIndex(made.index)));
        return this.#take(made);
      },
    });
  }

  #seedOf(index: number): number {
    const { run, record } = this.#input;
    const { checkpoint, ordinal } = forkOfIndex(index);
    return seedOfText(`${run.seed} when ${record.index} ${checkpoint} ${ordinal}`);
  }

  /** @returns whether more forks are wanted */
  #take(made: AttemptRecord): boolean {
    this.#search.take(recordOf(made, forkOfIndex(made.index)));
    return this.#search.result === undefined;
  }

  #end(reason: unknown): void {
    this.#stop.abort(reason);
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async #result(): Promise<WhenResult> {
    const { dir, record, failure, folder, pathOf } = this.#input;
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
        rise: { ...rise, ...(before?.number !== undefined && { checkpoint: relative(dir, pathOf(before.number)) }) },
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
