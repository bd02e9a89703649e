import { monotonicMs } from './clock.js';

const SLICE_MS = 1000;
/** A slice that comes later than this was not waited for: this process stood still. */
const LATE_MS = 1000;

/**
 * Calls `act` when `ms` have passed in which this process could have noticed what it waits for: time in which it was stopped
 * (SIGSTOP, a host that slept or was starved) does not count. Gives the function that ends it.
 */
export function patientTimer(ms: number, act: () => void): () => void {
  let left = ms;
  let timer: NodeJS.Timeout | undefined;
  const wait = () => {
    const slice = Math.min(left, SLICE_MS);
    const begun = monotonicMs();
    timer = setTimeout(() => {
      const passed = monotonicMs() - begun;
      left -= passed > slice + LATE_MS ? slice : Math.max(passed, slice);
      if (left > 0) wait();
      else act();
    }, slice);
  };
  wait();
  return () => clearTimeout(timer);
}
