import { isQmpilotError, QmpilotError } from '../../errors.js';
import { toJUnit } from '../../report/junit.js';
import type { AttemptRecord, RunEvent, RunSummary } from '../../run-files/attempt-record.js';
import { Journal } from '../../run-files/journal.js';
import type { RunSession } from '../../run-files/run-file.js';
import { summarize } from '../../run-files/summarize.js';
import { monotonicMs, wallTime } from '../../util/time/clock.js';
import { runAttempt } from '../attempt/attempt.js';
import { reportAtEnd } from '../reports/write-report.js';
import type { Scenario } from '../scenario.js';
import { prepareVm, type PreparedVm } from '../vms/prepared-vm.js';
import { poolSource, restoringSource, Supply, timed, type VmSource } from '../vms/supply.js';
import { chooseForks, hostCapacity } from './fork-count.js';
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
  #session: RunSession = { startedAt: wallTime(), pid: process.pid };

  constructor(scenario: Scenario, options: RunOptions, journal: Journal) {
    this.#scenario = scenario;
    this.#options = options;
    this.#journal = journal;
    this.#tell = options.onEvent ?? (() => {});
    this.#stop = new StopRule(journal.run, plannedIndices(journal.run));
    this.#earlier = journal.run.sessions;
    for (const record of journal.records) this.#stop.push(record);
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
    const { signal } = this.#options;
    const prepared = await this.#prepare();
    const { facts } = prepared.vm;
    const { forks, reason } =
      prepared.snapshot.strategy === 'internal'
        ? { forks: 1, reason: 'the snapshot is internal to one QEMU' }
        : chooseForks(this.#options.forks, facts, todo.length, hostCapacity());
    const sourceOf = (one: PreparedVm): VmSource =>
      one.snapshot.strategy === 'internal' ? restoringSource(one) : poolSource(one, forks);
    const supply = new Supply(
      sourceOf(prepared),
      async () => sourceOf(await this.#prepare({ fresh: true })),
      (error) =>
        this.#tell({
          type: 'progress',
          message: `the snapshot no longer loads (${error instanceof Error ? error.message : String(error)}): booting again`,
        }),
    );
    try {
      await this.#note({ forks });
      this.#tell({ type: 'forks', forks, reason });
      return await schedule(todo, forks, signal, async (index, fork, stopped) => {
        await this.#attempt(supply, index, fork, stopped);
        return this.#stop.reached === undefined;
      });
    } finally {
      await supply.close();
    }
  }

  async #attempt(supply: Supply, index: number, fork: number, signal: AbortSignal): Promise<void> {
    this.#tell({ type: 'attempt-started', index, fork });
    const broken = new AbortController();
    let begun = monotonicMs();
    const now = () => monotonicMs() - begun;
    const files = await this.#journal.begin(index, now, (error) => broken.abort(error));
    let record: AttemptRecord;
    try {
      const { value: taken, ms: restoreMs } = await timed(() =>
        supply.take({
          signal,
          onStart: (vm) => {
            begun = monotonicMs();
            vm.console.setTranscript(files.console);
          },
        }),
      );
      try {
        this.#tell({ type: 'restored', index, ms: restoreMs });
        record = await runAttempt(taken.vm, this.#scenario, {
          index,
          fork,
          restoreMs,
          files,
          claimDump: () => this.#claimDump(),
          now,
          signal,
          broken: broken.signal,
          seed: seedOf(this.#journal.run.seed, index),
          timeout: this.#journal.run.timeoutMs,
          onEvent: this.#tell,
        });
      } finally {
        await taken.release();
      }
    } finally {
      files.close();
    }
    this.#journal.append(record);
    this.#stop.push(record);
    this.#tell({ type: 'attempt', record });
  }

  async #prepare({ fresh = this.#options.fresh === true } = {}): Promise<PreparedVm> {
    const begun = monotonicMs();
    const broken = new AbortController();
    const files = await this.#journal.beginPrepare(
      () => monotonicMs() - begun,
      (error) => broken.abort(error),
    );
    try {
      const { signal, boot, source, cacheDir } = this.#options;
      const cache = boot === undefined && source !== undefined ? { source: source.sha256, fresh, cacheDir } : undefined;
      const prepared = await prepareVm(this.#scenario, {
        boot,
        cache,
        signal,
        broken: broken.signal,
        files,
        begun,
        tell: this.#tell,
      });
      try {
        this.#compare(prepared);
        await this.#journal.update({ facts: prepared.vm.facts, prepared: prepared.prepared });
        return prepared;
      } catch (error) {
        await prepared.close();
        throw error;
      }
    } finally {
      files.close();
    }
  }

  /** Refuses a guest other than the one that this run began with: its attempts belong to another run. */
  #compare({ vm }: PreparedVm): void {
    const before = this.#journal.run.facts;
    if (before === undefined || this.#journal.records.length === 0) return;
    const { guest, qemu, accelerator } = vm.facts;
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
