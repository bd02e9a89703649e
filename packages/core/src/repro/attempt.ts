import type { Finding } from '../detect/finding.js';
import { isQmpilotError, QmpilotError } from '../errors.js';
import type { AttemptFiles } from '../run-files/attempt-files.js';
import type { AttemptRecord, RunEvent } from '../run-files/attempt-record.js';
import { monotonicMs, wallTime } from '../util/clock.js';
import { parseDuration, type Duration } from '../util/duration.js';
import type { Vm } from '../vm/vm.js';
import { onFullDisk } from './full-disk.js';
import type { Scenario } from './scenario.js';
import { alarm, listen, TIME_UP, untilEnd } from './until-end.js';

export interface AttemptOptions {
  readonly index: number;
  readonly fork: number;
  readonly seed: number;
  /** Milliseconds since the attempt began. */
  readonly now: () => number;
  /** Ends the attempt: its evidence cannot be kept. */
  readonly broken: AbortSignal;
  readonly restoreMs: number;
  readonly timeout: Duration;
  readonly files: AttemptFiles;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: (event: RunEvent) => void;
}

/**
 * One try on a vm that was just restored. Whatever happens in it is in the record; only what concerns the run is thrown.
 * @throws {ABORTED} when `options.signal` fires: the attempt does not count
 * @throws {NO_SPACE} when the evidence cannot be kept
 */
export async function runAttempt(vm: Vm, scenario: Scenario, options: AttemptOptions): Promise<AttemptRecord> {
  const { index, fork, seed, files, now, onEvent } = options;
  const startedAt = wallTime();
  const timeoutMs = parseDuration(options.timeout, 'timeout');
  const poweroff = scenario.detect?.poweroff;
  const poweroffMs = parseDuration(poweroff?.timeout ?? '3m', 'detect.poweroff.timeout');
  const begun = monotonicMs() - now();
  const findings: Finding[] = [];
  const end = new AbortController();
  const watch = vm.watch(scenario.detect ?? {}, { signal: options.signal });
  const take = (finding: Finding) => {
    findings.push(finding);
    files.event({ type: 'finding', finding });
    onEvent({ type: 'finding', index, finding });
  };
  const undo = [
    watch.onFinding(take),
    vm.onEvent((event) => {
      if (event.type === 'finding') return;
      files.event({ ...event, at: event.at - begun });
      if (event.type === 'poweroff') onEvent({ type: 'poweroff', index, phase: event.phase, timeoutMs: poweroffMs });
    }),
    onFullDisk(vm, (error) => end.abort(error)),
    listen(options.signal, () => end.abort(options.signal?.reason)),
    listen(options.broken, () => end.abort(options.broken.reason)),
    alarm(timeoutMs, () => end.abort(TIME_UP)),
  ];
  void vm.ended.then((error) => end.abort(error));
  vm.console.setTranscript(files.console);
  const { columns, rowCount: rows } = vm.console.screen;
  files.event({ type: 'begin', at: 0, index, seed, fork, restoreMs: Math.round(options.restoreMs), columns, rows });
  let reason: string | undefined;
  try {
    const attempt = scenario.attempt(vm, {
      signal: end.signal,
      index,
      seed,
      watch,
      note: (text) => {
        files.event({ type: 'note', text });
        onEvent({ type: 'note', index, text });
      },
      attach: (name, text) => files.attach(name, text),
      report: take,
    });
    await untilEnd(attempt, end.signal);
    if (!findings.some(({ severity }) => severity === 'error')) {
      const undecided = await watch.awaitCandidates({ signal: options.signal });
      if (undecided.length > 0) reason = `not decided: ${undecided.map(({ title }) => title).join(', ')}`;
    }
    if (poweroff && !isQmpilotError(end.signal.reason, 'QEMU_EXITED')) {
      const report = await vm.poweroff({ ...poweroff, signal: options.signal });
      files.write('poweroff.json', `${JSON.stringify(report, null, 2)}\n`);
      if (report.finding) take({ ...report.finding, at: now() });
      if (report.outcome === 'killed') reason = `QEMU_EXITED: ${report.reason}`;
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
  files.write('findings.json', `${JSON.stringify(findings, null, 2)}\n`);
  const first = findings.filter(({ severity }) => severity === 'error').map(({ at }) => at);
  const failed = first.length > 0;
  // What was seen before the vm or the scenario failed was seen all the same.
  const outcome = failed ? 'reproduced' : reason === undefined ? 'clean' : 'inconclusive';
  const why = reason === undefined ? {} : { reason };
  files.event({ type: 'end', outcome, ...why });
  return {
    v: 1,
    type: 'attempt',
    index,
    outcome,
    ...why,
    startedAt,
    ms: Math.round(now()),
    restoreMs: Math.round(options.restoreMs),
    ...(failed && { timeToFailureMs: Math.round(Math.min(...first)) }),
    seed,
    fork,
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

function explain(error: unknown): string {
  if (error instanceof QmpilotError) return `${error.code}: ${error.message}`;
  return error instanceof Error
    ? `the scenario threw ${error.name}: ${error.message}`
    : `the scenario threw ${String(error)}`;
}
