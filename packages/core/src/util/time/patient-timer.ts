import { monotonicMs } from './clock.js';
import { starvedMs } from './starvation.js';

const SLICE_MS = 1000;
/** When a slice ends later than this, this process was stopped. */
const LATE_MS = 1000;
/** Starvation adds at most this many times the limit to a wait. */
const MAX_EXTENSION = 3;

/**
 * The timer of our own limits, such as a stage of the boot: calls `act` when `ms` have passed in which what is awaited could have come,
 * and this process could have noticed. Leaves out the time in which this process was stopped (SIGSTOP, a host that slept), and,
 * up to `extension` times `ms`, the time in which a QEMU of ours was starved: `act` is told how long. Returns a function that cancels it.
 */
export function patientTimer(ms: number, act: (starved: number) => void, extension = MAX_EXTENSION): () => void {
  let left = ms;
  let starved = 0;
  let repeated = false;
  let timer: NodeJS.Timeout | undefined;
  const wait = () => {
    const slice = Math.min(left, SLICE_MS);
    const begun = monotonicMs();
    const starvedBefore = starvedMs();
    timer = setTimeout(() => {
      const passed = monotonicMs() - begun;
      const late = passed > slice + LATE_MS;
      const counted = late ? slice : Math.max(passed, slice);
      const excused = Math.min(starvedMs() - starvedBefore, counted, extension * ms - starved);
      starved += excused;
      left -= counted - excused;
      if (left <= 0 && late && !repeated) {
        // This process may have been stopped as the slice began: it gets the last one once more.
        repeated = true;
        left = slice;
      }
      if (left > 0) wait();
      else act(starved);
    }, slice);
  };
  wait();
  return () => clearTimeout(timer);
}
