import { AbortedError, QmpilotError } from '../errors.js';
import type { RunEvent } from '../records/records.js';
import { monotonicMs } from '../util/clock.js';
import { boot } from '../vm/boot.js';
import type { Snapshot } from '../vm/snapshot.js';
import type { Vm } from '../vm/vm.js';
import type { AttemptFiles } from './run-directory/attempt-files.js';
import type { Scenario } from './scenario.js';

export interface PrepareOptions {
  readonly boot?: typeof boot | undefined;
  readonly signal: AbortSignal | undefined;
  /** Takes the console and the events of boot and `prepare`. */
  readonly files: AttemptFiles;
  /** When `files` began, on the monotonic clock. */
  readonly begun: number;
  readonly tell: (event: RunEvent) => void;
}

export interface PreparedVm {
  /** Paused: it is there for its snapshot. */
  readonly vm: Vm;
  readonly snapshot: Snapshot;
  readonly prepared: { readonly ms: number; readonly snapshotMs: number; readonly from: 'boot' };
}

const SNAPSHOT = 'prepared';

/**
 * Boots the guest, has the scenario prepare it, and takes the snapshot that every attempt starts from.
 * @throws what `boot` throws, and SCENARIO when `prepare` throws
 */
export async function prepareVm(scenario: Scenario, options: PrepareOptions): Promise<PreparedVm> {
  const { files, signal = new AbortController().signal, tell } = options;
  const begun = monotonicMs();
  const onProgress = (message: string) => {
    files.event({ type: 'note', text: message });
    tell({ type: 'progress', message });
  };
  const onStart = (started: Vm) => {
    started.console.setTranscript(files.console);
    started.onEvent((event) => files.event({ ...event, at: event.at - options.begun }));
  };
  const vm = await (options.boot ?? boot)(scenario.guest, { ...scenario.boot, signal, onProgress, onStart });
  try {
    tell({ type: 'booted', facts: vm.facts, ms: monotonicMs() - begun });
    const prepareBegun = monotonicMs();
    await scenario.prepare?.(vm, { signal, note: onProgress });
    const snapshot = await vm.snapshot(SNAPSHOT, { signal });
    await vm.pause({ signal });
    vm.console.setTranscript(undefined);
    const prepared = { ms: Math.round(monotonicMs() - prepareBegun), snapshotMs: Math.round(snapshot.pausedMs), from: 'boot' as const };
    tell({ type: 'prepared', ...prepared });
    return { vm, snapshot, prepared };
  } catch (error) {
    const console = vm.console.lastLines(20);
    await vm.close();
    if (signal.aborted) throw new AbortedError('the guest to be prepared', signal.reason);
    if (error instanceof QmpilotError) throw error;
    throw new QmpilotError('SCENARIO', `the prepare of this scenario threw ${String(error)}`, { cause: error, evidence: { console } });
  }
}
