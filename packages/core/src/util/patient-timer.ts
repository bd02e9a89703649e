import { monotonicMs } from './clock.js';
import { starvedMs } from './starvation.js';

const SLICE_MS = 1000;
/** A slice that comes later than this was not waited for: this process stood still. */
const LATE_MS = 1000;
/** Starvation draws a wait out to so many times its limit, and no further. */
const MOST = 4;

/**
 * Calls `act` when `ms` have passed in which what is awaited could have come, and this process could have noticed. Time does not count
 * in which this process was stopped (SIGSTOP, a host that slept or was starved), and, up to three times `ms`, in which a QEMU of ours
 * was starved: `act` is told how long. Gives the function that ends it.
 */
export function patientTimer(ms: number, act: (starved: number) => void): () => void {
  let left = ms;
  let starved = 0;
  let timer: NodeJS.Timeout | undefined;
  const wait = () => {
    const slice = Math.min(left, SLICE_MS);
    const begun = monotonicMs();
    const starvedBefore = starvedMs();
    timer = setTimeout(() => {
      const passed = monotonicMs() - begun;
      const counted = passed > slice + LATE_MS ? slice : Math.max(passed, slice);
      const excused = Math.min(starvedMs() - starvedBefore, counted, (MOST - 1) * ms - starved);
      starved += excused;
      left -= counted - excused;
      if (left > 0) wait();
      else act(starved);
    }, slice);
  };
  wait();
  return () => clearTimeout(timer);
}
