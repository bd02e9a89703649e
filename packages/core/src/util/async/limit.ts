import { AbortedError, QmpilotError, TimeoutError, type ErrorDetails } from '../../errors.js';
import { monotonicMs } from '../time/clock.js';
import { parseDuration, type Duration } from '../time/duration.js';
import { patientTimer } from '../time/patient-timer.js';
import { wallTimer } from '../time/wall-timer.js';
import { CallerStack } from './caller-stack.js';
import { onAbort } from './on-abort.js';

/** The reason why a limit ended an operation. Each step that waits turns it into an error that says what it waited for. */
class LimitReached {
  readonly #make: (awaited: string, details: ErrorDetails) => QmpilotError;

  constructor(make: (awaited: string, details: ErrorDetails) => QmpilotError) {
    this.#make = make;
  }

  errorFor(awaited: string, details: ErrorDetails = {}): QmpilotError {
    return this.#make(awaited, details);
  }
}

const CLEANUP_GRACE_MS = 700;

/** The error for a wait that the signal ended: of the limit or of the caller. */
export function abortError(awaited: string, signal: AbortSignal | undefined, details: ErrorDetails = {}): QmpilotError {
  const reason: unknown = signal?.reason;
  return reason instanceof LimitReached
    ? reason.errorFor(awaited, details)
    : new AbortedError(awaited, reason, details);
}

export interface LimitedOperation {
  /** What the operation as a whole waits for, when no step says it. */
  readonly awaited: string;
  /** Of the caller: wall-clock time from now. */
  readonly timeout?: Duration | undefined;
  /** Without a `timeout`: a limit of our own, as in `WaitOptions`. */
  readonly patience?: Duration | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long the steps may take to clean up after the limit, in ms: 700 by default. */
  readonly graceMs?: number;
  /** For the error when no step gives one in that time. */
  readonly details?: (() => ErrorDetails) | undefined;
}

/**
 * Runs an operation of several steps within the one `timeout` that its caller gave. The steps get a signal in place of it; those that
 * do not end soon after the limit continue cleaning up in the background, and the caller gets the error without them.
 *
 * @throws {TIMEOUT} {ABORTED} no later than `graceMs` after the limit
 */
export async function withinLimit<T>(
  { awaited, timeout, patience, signal, graceMs = CLEANUP_GRACE_MS, details }: LimitedOperation,
  run: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  const limit = timeout !== undefined ? timeout : patience;
  if (limit === undefined && !signal) return run(undefined);
  const limitMs = limit === undefined ? undefined : parseDuration(limit, 'timeout');
  const startTimer = timeout === undefined ? patientTimer : wallTimer;
  const caller = new CallerStack(withinLimit);
  const begun = monotonicMs();
  const controller = new AbortController();
  const aborted = (what: string, seen: ErrorDetails) => caller.on(abortError(what, signal, seen), 'drop');
  if (signal?.aborted) throw aborted(awaited, {});

  return new Promise<T>((resolve, reject) => {
    let grace: NodeJS.Timeout | undefined;
    const end = (reason: LimitReached) => {
      stop();
      if (Number.isFinite(graceMs)) grace = setTimeout(() => reject(reason.errorFor(awaited, details?.())), graceMs);
      controller.abort(reason);
    };
    const undo = onAbort(signal, () => end(new LimitReached(aborted)));
    const cancel =
      limitMs === undefined
        ? () => {}
        : startTimer(limitMs, (starvedMs) => {
            const waitedMs = monotonicMs() - begun;
            end(
              new LimitReached((what, seen) =>
                caller.on(new TimeoutError(what, waitedMs, { ...seen, starvedMs }), 'drop'),
              ),
            );
          });
    const stop = () => {
      undo();
      cancel();
    };
    const asError = (error: unknown): Error => {
      const reason: unknown = controller.signal.reason;
      const isLimit = error === reason || (error instanceof Error && error.cause === reason);
      if (reason instanceof LimitReached && isLimit) return reason.errorFor(awaited, details?.());
      return error instanceof Error ? error : new Error(String(error));
    };
    run(controller.signal)
      .then(resolve, (error: unknown) => reject(asError(error)))
      .finally(() => {
        stop();
        clearTimeout(grace);
      });
  });
}
