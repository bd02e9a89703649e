import { AbortedError, type ErrorCode, isQmpilotError, QmpilotError } from '../../errors.js';
import type { AttemptFiles } from '../../run-files/attempt-files.js';
import type { RunEvent } from '../../run-files/attempt-record.js';
import { monotonicMs } from '../../util/time/clock.js';
import { onFullDisk } from '../../vm/full-disk.js';
import { boot } from '../../vm/start/boot.js';
import { openPreparedSnapshot, savePreparedSnapshot, type PreparedRequest } from '../../vm/start/prepared.js';
import type { Vm, VmSnapshot } from '../../vm/vm.js';
import { RESUME } from '../resume.js';
import type { Scenario } from '../scenario.js';
import { untilEnd } from '../until-end.js';

export interface PrepareOptions {
  readonly boot?: typeof boot | undefined;
  readonly signal: AbortSignal | undefined;
  /** Ends it: its console and events cannot be kept. */
  readonly broken: AbortSignal;
  /** Takes the console and the events of boot and `prepare`. */
  readonly files: AttemptFiles;
  /** When `files` began, on the monotonic clock. */
  readonly begun: number;
  readonly tell: (event: RunEvent) => void;
  /** Directory of the cache of prepared guests; without it none is read or saved. */
  readonly cache?:
    | { readonly source: string; readonly fresh: boolean; readonly cacheDir: string | undefined }
    | undefined;
}

export interface PreparedVm {
  /** Paused: it is there for its snapshot. */
  readonly vm: Vm;
  readonly snapshot: VmSnapshot;
  readonly prepared: { readonly ms: number; readonly snapshotMs: number; readonly from: 'boot' | 'cache' };
  /** Closes the VM once the snapshot is in the cache. */
  readonly close: () => Promise<void>;
}

const SNAPSHOT = 'prepared';

/**
 * Returns the snapshot that every attempt starts from: from the cache, or by booting and preparing the guest.
 * @throws what `boot` throws, and SCENARIO when `prepare` throws
 */
export async function prepareVm(scenario: Scenario, options: PrepareOptions): Promise<PreparedVm> {
  const begun = monotonicMs();
  const note = (message: string) => {
    options.files.event({ type: 'note', text: message });
    options.tell({ type: 'progress', message });
  };
  const request = cacheRequest(scenario, options, note);
  if (request && options.cache?.fresh === false) {
    const cached = await openPrepared(request, begun, note);
    if (cached) {
      options.tell({ type: 'prepared', ...cached.prepared });
      return cached;
    }
  }
  const booted = await bootAndPrepare(scenario, options, note);
  const saving =
    request && booted.snapshot.strategy !== 'internal' ? saveInBackground(booted.snapshot, request, note) : undefined;
  const close = async () => {
    await saving;
    await booted.vm.close();
  };
  return { ...booted, close };
}

/** The cache entry of the prepared guest; undefined when the scenario is not cached. */
function cacheRequest(
  scenario: Scenario,
  { cache, signal }: PrepareOptions,
  onProgress: (message: string) => void,
): PreparedRequest | undefined {
  if (!cache || !(scenario.cache ?? scenario.prepare === undefined)) return undefined;
  const { source, cacheDir } = cache;
  return {
    name: scenario.name ?? scenario.guest.name,
    guest: scenario.guest,
    boot: scenario.boot,
    reboots: scenario.reboots,
    source,
    signal,
    onProgress,
    cacheDir,
  };
}

/** Undefined when there is no cached guest, or it does not load: `note` says so, and the guest is booted. */
async function openPrepared(
  request: PreparedRequest,
  begun: number,
  note: (message: string) => void,
): Promise<PreparedVm | undefined> {
  const snapshot = await openPreparedSnapshot(request);
  if (!snapshot) return undefined;
  try {
    const vm = await snapshot.fork({ signal: request.signal, clock: 'keep' });
    await vm.pause({ signal: request.signal });
    note(`using the guest ${request.guest.name} cached at ${snapshot.savedAt} (--fresh boots and prepares it again)`);
    const close = async () => {
      await vm.close();
      await snapshot.close();
    };
    return {
      vm,
      snapshot,
      prepared: { ms: Math.round(monotonicMs() - begun), snapshotMs: Math.round(snapshot.pausedMs), from: 'cache' },
      close,
    };
  } catch (error) {
    await snapshot.close();
    if (request.signal?.aborted) throw error;
    note(`cannot load the cached guest (${error instanceof Error ? error.message : String(error)}): booting`);
    return undefined;
  }
}

/** Saves the prepared guest for later runs; never rejects. */
async function saveInBackground(
  snapshot: VmSnapshot,
  request: PreparedRequest,
  note: (message: string) => void,
): Promise<void> {
  try {
    await savePreparedSnapshot(snapshot, { ...request, replace: true });
  } catch (error) {
    if (request.signal?.aborted) return;
    note(`cannot cache the prepared guest: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function bootAndPrepare(
  scenario: Scenario,
  options: PrepareOptions,
  note: (message: string) => void,
): Promise<Omit<PreparedVm, 'close'>> {
  const { files, broken, tell } = options;
  const begun = monotonicMs();
  const failed = new AbortController();
  const fail = (error: unknown) => failed.abort(error);
  const signal = AbortSignal.any([failed.signal, broken, ...(options.signal ? [options.signal] : [])]);
  const onStart = (started: Vm) => {
    started.console.setTranscript(files.console);
    onFullDisk(started, fail, RESUME);
    started.onEvent((event) => files.event({ ...event, at: event.at - options.begun }));
  };
  const vm = await (options.boot ?? boot)(scenario.guest, {
    ...scenario.boot,
    signal,
    onProgress: note,
    onStart,
  }).catch((error: unknown) => {
    throw options.signal?.aborted === true ? error : (reasonOf(failed.signal, broken) ?? error);
  });
  try {
    tell({ type: 'booted', facts: vm.facts, ms: monotonicMs() - begun });
    // A warning only, because `prepare` may still remove the obstacle.
    for (const { reason, remedy } of await vm.snapshotBlockers())
      note(`warning: at present this guest cannot be saved: ${reason}; ${remedy}`);
    const prepareBegun = monotonicMs();
    void vm.ended.then(fail);
    if (scenario.prepare)
      await untilEnd(scenario.prepare(vm, { signal, note }), signal).catch((error: unknown) => {
        throw prepareFailure(error);
      });
    const snapshot = await vm.snapshot(SNAPSHOT, { signal, ...(scenario.reboots && { reboots: true }) });
    await vm.pause({ signal });
    vm.console.setTranscript(undefined);
    const prepared = {
      ms: Math.round(monotonicMs() - prepareBegun),
      snapshotMs: Math.round(snapshot.pausedMs),
      from: 'boot' as const,
    };
    tell({ type: 'prepared', ...prepared });
    return { vm, snapshot, prepared };
  } catch (error) {
    const console = vm.console.lastLines(20);
    await vm.close();
    if (options.signal?.aborted) throw new AbortedError('the prepared guest', options.signal.reason);
    const reason = reasonOf(failed.signal, broken);
    if (reason !== undefined) throw reason;
    if (!isQmpilotError(error, 'SCENARIO')) throw error;
    throw new QmpilotError('SCENARIO', error.message, {
      cause: error.cause,
      evidence: { console, ...error.evidence },
      ...(error.hint !== undefined && { hint: error.hint }),
    });
  }
}

/** Codes that blame the arguments of a call. In `prepare` that call is the scenario's, not the user's of this run. */
const ARGUMENT_CODES: ReadonlySet<ErrorCode> = new Set(['USAGE', 'NOT_FOUND', 'ALREADY_EXISTS']);

/** Keeps errors of the VM as they are: their code says what happened to it. */
function prepareFailure(error: unknown): unknown {
  if (!(error instanceof QmpilotError))
    return new QmpilotError('SCENARIO', `the prepare of this scenario threw ${String(error)}`, { cause: error });
  if (!ARGUMENT_CODES.has(error.code)) return error;
  return new QmpilotError('SCENARIO', `the prepare of this scenario failed: ${error.message}`, {
    cause: error,
    evidence: error.evidence,
    ...(error.hint !== undefined && { hint: error.hint }),
  });
}

/** The failure outside of the scenario that caused its own error. */
function reasonOf(...signals: readonly AbortSignal[]): unknown {
  return signals.find(({ aborted }) => aborted)?.reason;
}
