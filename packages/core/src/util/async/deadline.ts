import { TimeoutError, type ErrorDetails } from '../../errors.js';
import { monotonicMs } from '../time/clock.js';
import { parseDuration, type Duration } from '../time/duration.js';
import { patientTimer } from '../time/patient-timer.js';
import { wallTimer } from '../time/wall-timer.js';
import { CallerStack } from './caller-stack.js';
import { abortError } from './limit.js';
import { onAbort } from './on-abort.js';

/** The last parameter of every operation that waits. */
export interface WaitOptions {
  /** Cancels the wait; the operation rejects with ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /** The longest the operation may take, in wall-clock time; it then rejects with TIMEOUT. */
  readonly timeout?: Duration | undefined;
  /** @internal Where there is no `timeout`: a limit of our own, which leaves out time in which QEMU was starved, up to three times its length. */
  readonly patience?: Duration | undefined;
}

export interface WaitDescription {
  /** What is awaited, for the error: "the login prompt on ttyS0". */
  readonly awaited: string | (() => string);
  /** The limit when the caller gives none: as `patience`. Without either the wait has no limit. */
  readonly defaultTimeout?: Duration | undefined;
  /** Called when the wait fails: what was seen instead, and what to do next. */
  readonly details?: (() => ErrorDetails) | undefined;
}

/**
 * Waits for what `start` announces by `resolve` or `reject`; `start` may return a function that undoes its
 * registration, which is called once, however the wait ends. `start` does not run if the signal has fired.
 *
 * @throws {TIMEOUT} after `options.timeout`
 * @throws {ABORTED} when `options.signal` fires
 */
export function awaitWithin<T>(
  what: WaitDescription,
  options: WaitOptions,
  start: (resolve: (value: T) => void, reject: (reason: unknown) => void) => (() => void) | void,
): Promise<T> {
  const limit = options.timeout !== undefined ? options.timeout : (options.patience ?? what.defaultTimeout);
  const timeoutMs = limit === undefined ? undefined : parseDuration(limit, 'timeout');
  const startTimer = options.timeout === undefined ? patientTimer : wallTimer;
  const { signal } = options;
  const caller = new CallerStack(awaitWithin);
  const begun = monotonicMs();
  const awaited = () => (typeof what.awaited === 'string' ? what.awaited : what.awaited());
  const aborted = () => caller.on(abortError(awaited(), signal, what.details?.()), 'drop');
  if (signal?.aborted) return Promise.reject(aborted());

  return new Promise<T>((resolve, reject) => {
    let ended = false;
    let undo: (() => void) | void = undefined;
    let stopTimer = () => {};
    const end = (settle: () => void) => {
      if (ended) return;
      ended = true;
      stopTimer();
      unsubscribe();
      undo?.();
      settle();
    };
    const unsubscribe = onAbort(signal, () => end(() => reject(aborted())));
    if (timeoutMs !== undefined) {
      stopTimer = startTimer(timeoutMs, (starvedMs) =>
        end(() =>
          reject(
            caller.on(new TimeoutError(awaited(), monotonicMs() - begun, { ...what.details?.(), starvedMs }), 'drop'),
          ),
        ),
      );
    }
    try {
      undo = start(
        (value) => end(() => resolve(value)),
        (reason) => end(() => reject(reason instanceof Error ? reason : new Error(String(reason)))),
      );
    } catch (error) {
      end(() => reject(error instanceof Error ? error : new Error(String(error))));
    }
    // `start` may have settled before it returned its undo.
    if (ended) undo?.();
  });
}

/** A pause that a signal can cut short. For pacing and polling intervals, never to wait for a condition. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return awaitWithin<void>({ awaited: 'a pause' }, { signal }, (resolve) => {
    const timer = setTimeout(() => resolve(), ms);
    return () => clearTimeout(timer);
  });
}

export interface PollOptions extends WaitOptions {
  /** Pause between two tries, in ms (default 100). */
  readonly interval?: number;
}

/**
 * Calls `probe` until it gives something else than `undefined`. One probe at a time; a probe gets a signal that
 * fires when the wait ends, so that it does not outlive it.
 */
export async function poll<T>(
  what: WaitDescription,
  options: PollOptions,
  probe: (signal: AbortSignal) => Promise<T | undefined>,
): Promise<T> {
  const inner = new AbortController();
  const caller = new CallerStack(poll);
  return awaitWithin<T>(what, options, (resolve, reject) => {
    const loop = async () => {
      while (!inner.signal.aborted) {
        const value = await probe(inner.signal);
        if (value !== undefined) return resolve(value);
        await pause(options.interval ?? 100, inner.signal);
      }
    };
    loop().catch((error: unknown) => {
      if (!inner.signal.aborted) reject(error instanceof Error ? caller.on(error, 'keep') : error);
    });
    return () => inner.abort();
  });
}
