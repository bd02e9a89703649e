import { createHash, randomInt } from 'node:crypto';
import pRetry from 'p-retry';
import { AbortedError, isQmpilotError, QmpilotError } from '../errors.js';
import { monotonicMs, wallTime } from '../util/clock.js';
import type { Duration } from '../util/duration.js';
import { boot } from '../vm/boot.js';
import type { Vm } from '../vm/vm.js';
import { runAttempt } from './attempt.js';
import { Journal } from './journal.js';
import type { AttemptRecord, RunEvent, RunSummary } from '../records/records.js';
import type { Scenario } from './scenario.js';
import { reportAtEnd } from './write-report.js';
import { summarize } from '../records/summarize.js';

export interface RunOptions {
  /** How many attempts; default 10. */
  readonly attempts?: number | undefined;
  /** Of one attempt; default the scenario's, else 3 min. */
  readonly timeout?: Duration | undefined;
  /** Stop after so many reproduced attempts; default none. */
  readonly untilReproduced?: number | undefined;
  /** The run directory: new, or empty. Default `runs/NAME-TIME` in the working directory. */
  readonly dir?: string | undefined;
  /** Whole number; the same gives the attempts the same seeds. Default random. */
  readonly seed?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: RunEvent) => void) | undefined;
  /** Kept in run.json as it is: where the scenario came from. */
  readonly source?: Readonly<Record<string, unknown>> | undefined;
  /** Another way to a vm than `boot`. */
  readonly boot?: typeof boot | undefined;
}

const SNAPSHOT = 'prepared';

/**
 * Boots and prepares the guest, takes a snapshot, and runs the attempts from it, one after the other. Finished attempts are in
 * the run directory, whatever comes after them.
 * @throws {USAGE} for options, or a run directory, that cannot be used
 * @throws what `boot` throws, and SCENARIO when `prepare` throws
 * @throws {ABORTED} {NO_SPACE} in the middle of a run
 */
export async function runScenario(scenario: Scenario, options: RunOptions = {}): Promise<RunSummary> {
  const attempts = wholeNumber(options.attempts ?? 10, 'attempts');
  const goal = options.untilReproduced === undefined ? undefined : wholeNumber(options.untilReproduced, 'untilReproduced');
  const seed = options.seed ?? randomInt(2 ** 47);
  const tell = options.onEvent ?? (() => {});
  const name = scenario.name ?? 'run';
  const startedAt = wallTime();
  const dir = options.dir ?? `runs/${name.replaceAll(/[^\w.-]/g, '-')}-${startedAt.replace(/[:.]/g, '').replace('T', '-').slice(0, 17)}`;
  const about = { name, startedAt, seed, attempts, source: options.source };
  const journal = await Journal.create(dir, about);
  const records: AttemptRecord[] = [];
  let vm: Vm | undefined;
  try {
    vm = await bootPrepared(scenario, options, tell);
    await journal.describe({ ...about, facts: vm.facts });
    for (let index = 1; index <= attempts; index += 1) {
      tell({ type: 'attempt-started', index });
      const begun = monotonicMs();
      vm = await restored(vm, scenario, options, tell);
      const restoreMs = monotonicMs() - begun;
      const files = await journal.begin(index);
      let record: AttemptRecord;
      try {
        record = await runAttempt(vm, scenario, {
          index, restoreMs, files, signal: options.signal, onEvent: tell,
          seed: seedOf(seed, index),
          timeout: options.timeout ?? scenario.timeout ?? '3m',
        });
      } finally {
        files.close();
      }
      journal.append(record);
      records.push(record);
      tell({ type: 'attempt', record });
      if (goal !== undefined && records.filter(({ outcome }) => outcome === 'reproduced').length >= goal) break;
    }
    const summary = summarize(records, journal.dir);
    await journal.finish(summary);
    tell({ type: 'summary', summary });
    return summary;
  } finally {
    await vm?.close();
    await reportAtEnd(journal.dir, options.onEvent);
    journal.close();
  }
}

async function bootPrepared(scenario: Scenario, options: RunOptions, tell: (event: RunEvent) => void): Promise<Vm> {
  const begun = monotonicMs();
  const onProgress = (message: string) => tell({ type: 'progress', message });
  const vm = await (options.boot ?? boot)(scenario.guest, { ...scenario.boot, signal: options.signal, onProgress });
  try {
    tell({ type: 'booted', facts: vm.facts, ms: monotonicMs() - begun });
    const prepareBegun = monotonicMs();
    const signal = options.signal ?? new AbortController().signal;
    await scenario.prepare?.(vm, { signal, note: onProgress });
    const { pausedMs } = await vm.snapshot(SNAPSHOT, { signal });
    tell({ type: 'prepared', ms: monotonicMs() - prepareBegun, snapshotMs: pausedMs });
    return vm;
  } catch (error) {
    const console = vm.console.lastLines(20);
    await vm.close();
    if (options.signal?.aborted) throw new AbortedError('the guest to be prepared', options.signal.reason);
    if (error instanceof QmpilotError) throw error;
    throw new QmpilotError('SCENARIO', `the prepare of this scenario threw ${String(error)}`, { cause: error, evidence: { console } });
  }
}

/** A QEMU that died is no obstacle: a restore starts another. When the snapshot does not load either, all begins anew, twice at most. */
async function restored(vm: Vm, scenario: Scenario, options: RunOptions, tell: (event: RunEvent) => void): Promise<Vm> {
  try {
    await vm.restore(SNAPSHOT, { signal: options.signal });
    return vm;
  } catch (error) {
    options.signal?.throwIfAborted();
    tell({ type: 'progress', message: `the snapshot did not load (${error instanceof Error ? error.message : String(error)}): booting again` });
    await vm.close();
  }
  const another = await pRetry(() => bootPrepared(scenario, options, tell), {
    retries: 1,
    minTimeout: 1000,
    ...(options.signal && { signal: options.signal }),
    shouldRetry: ({ error }) => !isQmpilotError(error, 'ABORTED') && !isQmpilotError(error, 'USAGE'),
  });
  await another.restore(SNAPSHOT, { signal: options.signal });
  return another;
}

function seedOf(run: number, index: number): number {
  return createHash('sha256').update(`${run}:${index}`).digest().readUIntBE(0, 6);
}

function wholeNumber(value: number, name: string): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw new QmpilotError('USAGE', `${name}: ${value} is not a whole number of 1 or more`);
}
