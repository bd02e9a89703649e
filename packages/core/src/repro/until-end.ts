import { patientTimer } from '../util/time/patient-timer.js';

/** The reason of the attempt's signal when its time is up: a normal end. */
export const TIME_UP = Symbol('the time of the attempt is up');

/** Time for the scenario to clean up after its signal fired. */
const CLEANUP_GRACE_MS = 2000;

/** Waits for the attempt until the signal fires; a scenario that ignores its signal is abandoned. */
export async function untilEnd(attempt: Promise<void>, signal: AbortSignal): Promise<void> {
  const ended = new Promise<void>((resolve, reject) => {
    listen(signal, () => {
      const reason: unknown = signal.reason;
      const settle = () => (reason === TIME_UP ? resolve() : reject(reason));
      const grace = setTimeout(settle, CLEANUP_GRACE_MS);
      void attempt
        .catch(() => {})
        .then(() => {
          clearTimeout(grace);
          settle();
        });
    });
  });
  ended.catch(() => {});
  try {
    await Promise.race([attempt, ended]);
  } catch (error) {
    // An error after the time was up is a consequence of that.
    if (signal.aborted && signal.reason === TIME_UP) return;
    throw signal.aborted ? signal.reason : error;
  }
  if (signal.aborted && signal.reason !== TIME_UP) throw signal.reason;
}

export function listen(signal: AbortSignal | undefined, act: () => void): () => void {
  if (signal?.aborted) act();
  else signal?.addEventListener('abort', act, { once: true });
  return () => signal?.removeEventListener('abort', act);
}

/** Calls `act` when `ms` have passed, without the time in which this process was stopped: the guest got nothing to do in it. */
export function alarm(ms: number, act: () => void): () => void {
  return patientTimer(ms, act, 0);
}
