import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { VmFacts } from '../../qemu/vm-facts.js';
import { toJUnit } from '../../report/junit.js';
import type { AttemptRecord, RunEvent, RunSummary } from '../../run-files/attempt-record.js';
import { Journal } from '../../run-files/journal.js';
import type { RunSession } from '../../run-files/run-file.js';
import { summarize } from '../../run-files/summarize.js';
import { wallTime } from '../../util/time/clock.js';
import type { CheckpointRequest } from '../attempt/make-attempt.js';
import { reportAtEnd } from '../reports/write-report.js';
import type { Scenario } from '../scenario.js';
import { AttemptMaker } from './attempt-maker.js';
import type { AttemptQueue, PreparedGuest } from './attempt-queue.js';
import { pendingIndices, plannedIndices } from './plan.js';
import { checkRunOptions, defaultDirectory, describeRun, resumedRun, type RunOptions } from './run-options.js';
import { schedule } from './schedule.js';
import { seedOf } from './seed.js';
import { StopRule } from './stop-rule.js';

/** Makes a run directory, or opens the one to resume, and runs the attempts; what `runScenario` does. */
export async function executeRun(scenario: Scenario, options: RunOptions): Promise<RunSummary> {
  const journal = await openJournal(scenario, options);
  try {
    return await new Run(scenario, options, journal).execute();
  } finally {
    await reportAtEnd(journal.dir, options.onEvent);
    journal.close();
  }
}

async function openJournal(scenario: Scenario, options: RunOptions): Promise<Journal> {
  checkRunOptions(options);
  if (options.resume === undefined) {
    const about = describeRun(scenario, options);
    StopRule.check(about);
    return Journal.create(options.dir ?? defaultDirectory(about), about);
  }
  const journal = await Journal.reopen(options.resume);
  try {
    const change = resumedRun(journal.run, options);
    StopRule.check({ ...journal.run, ...change });
    await journal.update(change);
    return journal;
  } catch (error) {
    journal.close();
    throw error;
  }
}

class Run {
  readonly #scenario: Scenario;
  readonly #options: RunOptions;
  readonly #journal: Journal;
  readonly #tell: (event: RunEvent) => void;
  readonly #stop: StopRule;
  readonly #earlier: readonly RunSession[];
  #dumped: boolean;
  /** Number of attempts that have kept checkpoints. */
  #kept: number;
  #warned = false;
  #session: RunSession = { startedAt: wallTime(), pid: process.pid };

  constructor(scenario: Scenario, options: RunOptions, journal: Journal) {
    this.#scenario = scenario;
    this.#options = options;
    this.#journal = journal;
    this.#tell = options.onEvent ?? (() => {});
    this.#stop = new StopRule(journal.run, plannedIndices(journal.run));
    this.#earlier = journal.run.sessions;
    for (const record of journal.records) this.#stop.push(record);
    this.#kept = journal.records.filter(({ checkpoints }) => checkpoints !== undefined).length;
    this.#dumped = scenario.detect?.dump !== true || journal.records.some(({ dump }) => dump !== undefined);
  }

  #claimDump(): boolean {
    const mine = !this.#dumped;
    this.#dumped = true;
    return mine;
  }

  async execute(): Promise<RunSummary> {
    const { run, records, repaired, dir } = this.#journal;
    const todo = this.#stop.reached === undefined ? pendingIndices(run, records) : [];
    if (repaired)
      this.#tell({ type: 'progress', message: 'the last line of attempts.jsonl was cut off: its attempt runs again' });
    this.#tell({
      type: 'run',
      dir,
      attempts: run.attempts,
      ...(run.shard && { shard: run.shard }),
      todo: todo.length,
      done: [...records],
    });
    await this.#note({});
    try {
      const all = todo.length === 0 || (await this.#attempts(todo));
      const summary = {
        ...summarize(this.#journal.records, dir),
        ...(this.#stop.verdict && { goal: this.#stop.verdict }),
      };
      await this.#journal.finish(summary, toJUnit(this.#journal.run, this.#journal.records));
      const reached = this.#stop.reached;
      await this.#note({ end: all ? 'finished' : 'stopped', ...(reached !== undefined && { message: reached }) });
      if (reached !== undefined) this.#tell({ type: 'progress', message: `stopped early: ${reached}` });
      this.#tell({ type: 'summary', summary });
      return summary;
    } catch (error) {
      const { signal } = this.#options;
      const interrupted = signal?.aborted === true && !isQmpilotError(signal.reason);
      const message = error instanceof Error ? error.message : String(error);
      // A full disk takes no note either; the error says what failed.
      await this.#note({ end: interrupted ? 'interrupted' : 'failed', message }).catch(() => {});
      throw error;
    }
  }

  /** @returns whether all were made; false when the stop rule ended the run early */
  async #attempts(todo: readonly number[]): Promise<boolean> {
    return this.#options.queue === undefined ? this.#attemptsHere(todo) : this.#attemptsOf(this.#options.queue, todo);
  }

  async #attemptsHere(todo: readonly number[]): Promise<boolean> {
    const { signal, boot, source, cacheDir, fresh, forks: asked } = this.#options;
    const { run } = this.#journal;
    const maker = await AttemptMaker.open(this.#scenario, {
      forks: asked,
      todo: todo.length,
      fresh: fresh === true,
      source: source?.sha256,
      cacheDir,
      boot,
      signal,
      tell: this.#tell,
      openFiles: (now, onFailure) => this.#journal.beginPrepare(now, onFailure),
      onPrepared: ({ vm: { facts }, prepared }) => this.#takeGuest({ facts, prepared }),
    });
    try {
      await this.#tellForks(maker.forks, maker.reason);
      return await schedule(todo, maker.forks, signal, async (index, fork, stopped) => {
        this.#tell({ type: 'attempt-started', index, fork });
        const record = await maker.make({
          index,
          fork,
          seed: seedOf(run.seed, index),
          timeout: run.timeoutMs,
          claimDump: () => this.#claimDump(),
          signal: stopped,
          openFiles: (now, onFailure) => this.#journal.begin(index, now, onFailure),
          checkpoints: this.#checkpoints(),
        });
        return this.#accept(record);
      });
    } finally {
      await maker.close();
    }
  }

  #checkpoints(): CheckpointRequest | undefined {
    const { checkpoints: settings } = this.#journal.run;
    return (
      settings && {
        settings,
        // Those that fail at the same time all keep theirs: the first to end may end the run, and with it the others.
        mayKeep: () => this.#kept < settings.attempts,
        warn: (message) => {
          if (!this.#warned) this.#tell({ type: 'progress', message: `warning: ${message}` });
          this.#warned = true;
        },
      }
    );
  }

  #attemptsOf(queue: AttemptQueue, todo: readonly number[]): Promise<boolean> {
    const { run, records } = this.#journal;
    let taken = 0;
    return queue.makeAttempts({
      run,
      take: (count) => todo.slice(taken, (taken += count)),
      seedOf: (index) => seedOf(run.seed, index),
      dumped: this.#dumped,
      fresh: this.#options.fresh === true,
      guestKey: records.length > 0 && this.#options.acceptChanges !== true ? run.facts?.guest.key : undefined,
      signal: this.#options.signal,
      tell: this.#tell,
      onPrepared: (guest) => this.#takeGuest(guest),
      onForks: (forks, reason) => this.#tellForks(forks, reason),
      accept: async (record, writeEvidence) => {
        await writeEvidence(await this.#journal.folderOf(record.index));
        return this.#accept(record);
      },
    });
  }

  async #tellForks(forks: number, reason: string): Promise<void> {
    await this.#note({ forks });
    this.#tell({ type: 'forks', forks, reason });
  }

  /** @returns whether the run goes on */
  #accept(record: AttemptRecord): boolean {
    this.#journal.append(record);
    if (record.checkpoints) this.#kept += 1;
    this.#stop.push(record);
    this.#tell({ type: 'attempt', record });
    return this.#stop.reached === undefined;
  }

  async #takeGuest({ facts, prepared }: PreparedGuest): Promise<void> {
    this.#compare(facts);
    await this.#journal.update({ facts, prepared });
  }

  /** Refuses a guest other than the one that this run began with: its attempts belong to another run. */
  #compare({ guest, qemu, accelerator }: VmFacts): void {
    const before = this.#journal.run.facts;
    if (before === undefined || this.#journal.records.length === 0) return;
    if (before.guest.key !== guest.key && this.#options.acceptChanges !== true) {
      throw new QmpilotError('USAGE', `the guest ${guest.name} is not the one that this run began with`, {
        hint: 'start another run, or accept it by --accept-changes',
      });
    }
    const changed = [
      before.qemu.version !== qemu.version && `QEMU ${before.qemu.version} is ${qemu.version} now`,
      before.accelerator.accelerator !== accelerator.accelerator &&
        `${before.accelerator.accelerator} is ${accelerator.accelerator} now`,
    ].filter((one) => one !== false);
    if (changed.length > 0)
      this.#tell({ type: 'progress', message: `warning: since this run began, ${changed.join(', ')}` });
  }

  async #note(change: Partial<RunSession>): Promise<void> {
    this.#session = { ...this.#session, ...change, ...(change.end && { endedAt: wallTime() }) };
    await this.#journal.update({ sessions: [...this.#earlier, this.#session] });
  }
}
