import type { Finding } from '../../detect/finding.js';
import type { RunEvent } from '../../run-files/attempt-record.js';
import { monotonicMs } from '../../util/time/clock.js';
import { parseDuration } from '../../util/time/duration.js';
import { onFullDisk } from '../../vm/full-disk.js';
import type { Vm } from '../../vm/vm.js';
import type { Watch } from '../../vm/watch/watch.js';
import { RESUME } from '../resume.js';
import type { Scenario } from '../scenario.js';
import { alarm, listen, TIME_UP } from '../until-end.js';
import type { AttemptOptions } from './attempt-options.js';

/** The detectors and recorders at work during one attempt. */
export interface AttemptObserver {
  readonly watch: Watch;
  /** Fires when the attempt has to end: its time is up (`TIME_UP`), the VM died, a disk is full, or the run was interrupted. */
  readonly signal: AbortSignal;
  readonly findings: readonly Finding[];
  add(finding: Finding): void;
  /** Calls `onEvent` of the run. What it throws ends the attempt, and is thrown by `throwIfFailed`. */
  tell(event: RunEvent): void;
  /** @throws what `onEvent` of the run threw */
  throwIfFailed(): void;
  stop(): Promise<void>;
}

/** Starts the detectors, writes console and events to the attempt's files, and sets its limits. */
export function observeAttempt(vm: Vm, scenario: Scenario, options: AttemptOptions): AttemptObserver {
  const { index, seed, fork, files } = options;
  const poweroffMs = parseDuration(scenario.detect?.poweroff?.timeout ?? '3m', 'detect.poweroff.timeout');
  const begun = monotonicMs() - options.now();
  const findings: Finding[] = [];
  const end = new AbortController();
  let failure: { readonly error: unknown } | undefined;
  // A listener that throws is removed: later findings would be lost, and with them the verdict.
  const tell = (event: RunEvent) => {
    try {
      options.onEvent(event);
    } catch (error) {
      failure ??= { error };
      end.abort(error);
    }
  };
  const add = (finding: Finding) => {
    findings.push(finding);
    files.event({ type: 'finding', finding });
    tell({ type: 'finding', index, finding });
  };
  const { poweroff: _, dump: __, ...watched } = scenario.detect ?? {};
  const watch = vm.watch(watched, { signal: options.signal });
  const undo = [
    watch.onFinding(add),
    vm.onEvent((event) => {
      if (event.type === 'finding') return;
      files.event({ ...event, at: event.at - begun });
      if (event.type === 'poweroff') tell({ type: 'poweroff', index, phase: event.phase, timeoutMs: poweroffMs });
    }),
    onFullDisk(vm, (error) => end.abort(error), RESUME),
    listen(options.signal, () => end.abort(options.signal?.reason)),
    listen(options.broken, () => end.abort(options.broken.reason)),
    alarm(parseDuration(options.timeout, 'timeout'), () => end.abort(TIME_UP)),
  ];
  void vm.ended.then((error) => end.abort(error));
  vm.console.setTranscript(files.console);
  const { columns, rowCount: rows } = vm.console.screen;
  files.event({ type: 'begin', at: 0, index, seed, fork, restoreMs: Math.round(options.restoreMs), columns, rows });
  return {
    watch,
    signal: end.signal,
    findings,
    add,
    tell,
    throwIfFailed() {
      if (failure) throw failure.error;
    },
    async stop() {
      await watch.stop();
      for (const step of undo) step();
      vm.console.setTranscript(undefined);
    },
  };
}
