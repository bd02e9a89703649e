import type { Finding } from '../../detect/finding.js';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { AttemptRecord } from '../../run-files/attempt-record.js';
import { wallTime } from '../../util/time/clock.js';
import type { Vm } from '../../vm/vm.js';
import { explainError } from '../explain-error.js';
import { checkMark, scenarioFinding } from '../scenario-finding.js';
import type { AttemptContext, Scenario } from '../scenario.js';
import { untilEnd } from '../until-end.js';
import { observeAttempt, type AttemptObserver } from './attempt-observer.js';
import type { AttemptOptions } from './attempt-options.js';
import { AttemptFailed, distinctFindings, outcomeOf, tellsOfGuest, thrownFinding } from './attempt-outcome.js';
import { dumpFailure } from './dump-failure.js';
import { explainHang } from './explain-hang.js';

/** The reason why the attempt has no verdict, or the error that the scenario threw. */
interface Trouble {
  readonly reason: string;
  readonly threw?: true;
}

/**
 * Makes one attempt on a VM that was just restored. Whatever happens in it is in the record; only what concerns the run is thrown.
 * @throws {ABORTED} when `options.signal` fires: the attempt does not count
 * @throws {NO_SPACE} when the evidence cannot be written
 */
export async function runAttempt(vm: Vm, scenario: Scenario, options: AttemptOptions): Promise<AttemptRecord> {
  const { index, fork, seed, files, now } = options;
  const startedAt = wallTime();
  const observer = observeAttempt(vm, scenario, options);
  let trouble: Trouble | undefined;
  let explanation: readonly string[] | undefined;
  let dump: string | undefined;
  let endedAt = 0;
  const hasFailed = () => observer.findings.some(isFailure);
  options.checkpoints?.start(hasFailed);
  try {
    trouble = await perform(vm, scenario, observer, options);
    endedAt = now();
    // Before a poweroff, which changes what tasks wait for.
    explanation = await explainHang(vm, observer, options);
    dump = await dumpFailure(vm, observer, options);
    trouble ??= await verify(vm, scenario, observer, options);
    explanation ??= await explainHang(vm, observer, options);
    dump ??= await dumpFailure(vm, observer, options);
  } finally {
    await options.checkpoints?.stop();
    await observer.stop();
  }
  observer.throwIfFailed();
  const { findings } = observer;
  files.write('findings.json', `${JSON.stringify(findings, null, 2)}\n`);
  const failures = findings.filter(isFailure).map(({ at }) => at);
  const checkpoints = failures.length > 0 ? await options.checkpoints?.keep(Math.min(...failures), endedAt) : undefined;
  const outcome = outcomeOf(findings, trouble?.reason);
  files.event({ type: 'end', outcome, ...(trouble && { reason: trouble.reason }) });
  return {
    v: 1,
    type: 'attempt',
    index,
    outcome,
    ...trouble,
    startedAt,
    ms: Math.round(now()),
    restoreMs: Math.round(options.restoreMs),
    ...(failures.length > 0 && { timeToFailureMs: Math.round(Math.min(...failures)) }),
    seed,
    fork,
    findings: distinctFindings(findings),
    ...(explanation && { explanation }),
    ...(dump !== undefined && { dump }),
    ...(checkpoints && { checkpoints }),
  };
}

/** Runs the scenario's `attempt`. */
async function perform(
  vm: Vm,
  scenario: Scenario,
  observer: AttemptObserver,
  options: AttemptOptions,
): Promise<Trouble | undefined> {
  try {
    await untilEnd(scenario.attempt(vm, contextOf(observer, options)), observer.signal);
    return undefined;
  } catch (error) {
    observer.throwIfFailed();
    rethrowOfRun(error, options);
    if (error instanceof AttemptFailed) return { reason: error.message };
    const ofGuest = tellsOfGuest(error);
    if (ofGuest && scenario.failOn === 'throw') observer.add(thrownFinding(error, options.now()));
    return { reason: explainError(error), ...((ofGuest || isQmpilotError(error, 'USAGE')) && { threw: true }) };
  }
}

/** Waits for pending failures, then asks for the poweroff that the scenario wants. */
async function verify(
  vm: Vm,
  scenario: Scenario,
  observer: AttemptObserver,
  options: AttemptOptions,
): Promise<Trouble | undefined> {
  let trouble: Trouble | undefined;
  const poweroff = scenario.detect?.poweroff;
  try {
    if (!observer.findings.some(isFailure)) {
      const undecided = await observer.watch.awaitCandidates({ signal: options.signal });
      if (undecided.length > 0) trouble = { reason: `not decided: ${undecided.map(({ title }) => title).join(', ')}` };
    }
    await options.checkpoints?.stop();
    if (poweroff && !isQmpilotError(observer.signal.reason, 'QEMU_EXITED')) {
      const report = await vm.poweroff({ ...poweroff, signal: options.signal });
      options.files.write('poweroff.json', `${JSON.stringify(report, null, 2)}\n`);
      if (report.finding) observer.add({ ...report.finding, at: options.now() });
      if (report.outcome === 'killed') trouble = { reason: `QEMU_EXITED: ${report.reason}` };
    }
    return trouble;
  } catch (error) {
    rethrowOfRun(error, options);
    return { reason: explainError(error) };
  }
}

function isFailure({ severity }: Finding): boolean {
  return severity === 'error';
}

function contextOf(
  observer: AttemptObserver,
  { index, seed, files, now, checkpoints }: AttemptOptions,
): AttemptContext {
  return {
    signal: observer.signal,
    index,
    seed,
    watch: observer.watch,
    note: (text) => {
      files.event({ type: 'note', text });
      observer.tell({ type: 'note', index, text });
    },
    attach: (name, text) => files.attach(name, text),
    checkpoint: async (mark) => {
      checkMark(mark);
      await checkpoints?.mark(mark);
    },
    report: (finding) => observer.add(scenarioFinding(finding, now(), 'report: finding')),
    fail: (title, { evidence = [], signature = title } = {}) => {
      observer.add(scenarioFinding({ severity: 'error', title, signature, evidence }, now(), 'fail: finding'));
      throw new AttemptFailed(title);
    },
  };
}

function rethrowOfRun(error: unknown, { signal }: AttemptOptions): void {
  signal?.throwIfAborted();
  if (error instanceof QmpilotError && error.code === 'NO_SPACE') throw error;
}
