import type { Finding } from '../detect/finding.js';
import { isQmpilotError, QmpilotError } from '../errors.js';
import { monotonicMs, wallTime } from '../util/clock.js';
import { parseDuration, type Duration } from '../util/duration.js';
import type { Vm } from '../vm/vm.js';
import type { AttemptFiles } from './journal.js';
import type { AttemptRecord, RunEvent } from '../records/records.js';
import type { Scenario } from './scenario.js';

export interface AttemptOptions {
  readonly index: number;
  readonly seed: number;
  readonly restoreMs: number;
  readonly timeout: Duration;
  readonly files: AttemptFiles;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: (event: RunEvent) => void;
}

/** The reason of the attempt's signal when its time is up: an end like any other, unless the scenario says otherwise. */
const TIME_UP = Symbol('the time of the attempt is up');

/**
 * One try on a vm that was just restored. Whatever happens in it is in the record; only what concerns the run is thrown.
 * @throws {ABORTED} when `options.signal` fires: the attempt does not count
 * @throws {NO_SPACE} when the evidence cannot be kept
 */
export async function runAttempt(vm: Vm, scenario: Scenario, options: AttemptOptions): Promise<AttemptRecord> {
  const { index, seed, files, onEvent } = options;
  const startedAt = wallTime();
  const begun = monotonicMs();
  const now = () => monotonicMs() - begun;
  const findings: Finding[] = [];
  const end = new AbortController();
  const watch = vm.watch(scenario.detect ?? {}, { signal: options.signal });
  const take = (finding: Finding) => {
    findings.push(finding);
    files.event({ at: now(), type: 'finding', finding });
    onEvent({ type: 'finding', index, finding });
  };
  const undo = [
    watch.onFinding(take),
    vm.onEvent((event) => {
      if (event.type === 'finding') return;
      files.event({ ...event, at: event.at - begun });
      if (event.type === 'poweroff') onEvent({ type: 'poweroff', index, phase: event.phase });
    }),
    listen(options.signal, () => end.abort(options.signal?.reason)),
    alarm(parseDuration(options.timeout, 'timeout'), () => end.abort(TIME_UP)),
  ];
  void vm.ended.then((error) => end.abort(error));
  vm.console.setTranscript(files.transcript);
  let reason: string | undefined;
  try {
    const attempt = scenario.attempt(vm, {
      signal: end.signal,
      index,
      seed,
      watch,
      note: (text) => {
        files.event({ at: now(), type: 'note', text });
        onEvent({ type: 'note', index, text });
      },
      attach: (name, text) => files.attach(name, text),
      report: take,
    });
    await untilEnd(attempt, end.signal);
    const poweroff = scenario.detect?.poweroff;
    if (poweroff && !isQmpilotError(end.signal.reason, 'QEMU_EXITED')) {
      const report = await vm.poweroff({ ...poweroff, signal: options.signal });
      files.attach('poweroff.json', `${JSON.stringify(report, null, 2)}\n`);
      if (report.finding) take({ ...report.finding, at: now() });
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    if (isQmpilotError(error, 'NO_SPACE')) throw error;
    reason = explain(error);
  } finally {
    await watch.stop();
    for (const step of undo) step();
    vm.console.setTranscript(undefined);
  }
  files.attach('findings.json', `${JSON.stringify(findings, null, 2)}\n`);
  const first = findings.filter(({ severity }) => severity === 'error').map(({ at }) => at);
  const failed = first.length > 0;
  return {
    v: 1,
    type: 'attempt',
    index,
    // What was seen before the vm or the scenario failed was seen all the same.
    outcome: failed ? 'reproduced' : reason === undefined ? 'clean' : 'inconclusive',
    ...(reason === undefined ? {} : { reason }),
    startedAt,
    ms: Math.round(now()),
    restoreMs: Math.round(options.restoreMs),
    ...(failed && { timeToFailureMs: Math.round(Math.min(...first)) }),
    seed,
    findings: distinct(findings),
  };
}

/** The kernel reports the same hung task again and again. */
function distinct(findings: readonly Finding[]): AttemptRecord['findings'] {
  const known = new Map<string, Finding & { times: number }>();
  for (const finding of findings) {
    const key = `${finding.signature}\0${finding.task?.pid ?? ''}`;
    const first = known.get(key);
    if (first) first.times += 1;
    else known.set(key, { ...finding, times: 1 });
  }
  return [...known.values()];
}

/** Waits for the attempt, but not beyond its end: a scenario that does not heed its signal is left behind. */
async function untilEnd(attempt: Promise<void>, signal: AbortSignal): Promise<void> {
  const ended = new Promise<void>((resolve, reject) => {
    listen(signal, () => {
      const reason: unknown = signal.reason;
      // A moment for the scenario to put away its things and to say what it knows.
      const grace = setTimeout(() => (reason === TIME_UP ? resolve() : reject(reason)), 2000);
      attempt.then(
        () => clearTimeout(grace),
        () => clearTimeout(grace),
      ).finally(() => (reason === TIME_UP ? resolve() : reject(reason)));
    });
  });
  ended.catch(() => {});
  try {
    await Promise.race([attempt, ended]);
  } catch (error) {
    // What fails because its time was up has not failed.
    if (signal.aborted && signal.reason === TIME_UP) return;
    throw signal.aborted ? signal.reason : error;
  }
  if (signal.aborted && signal.reason !== TIME_UP) throw signal.reason;
}

function listen(signal: AbortSignal | undefined, act: () => void): () => void {
  if (signal?.aborted) act();
  else signal?.addEventListener('abort', act, { once: true });
  return () => signal?.removeEventListener('abort', act);
}

function alarm(ms: number, act: () => void): () => void {
  const timer = setTimeout(act, Math.min(ms, 2 ** 31 - 1));
  return () => clearTimeout(timer);
}

function explain(error: unknown): string {
  if (error instanceof QmpilotError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? `the scenario threw ${error.name}: ${error.message}` : `the scenario threw ${String(error)}`;
}
