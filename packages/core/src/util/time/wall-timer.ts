import { monotonicMs } from './clock.js';
import { starvedMs } from './starvation.js';

/** The longest that `setTimeout` takes is 2^31 - 1 ms. */
const MAX_TIMER_MS = 2 ** 30;
/** A timer that fires so late was held up: this process was stopped, or the host slept. */
const LATE_MS = 500;
/** Input that arrived while this process was suspended is read first. */
const CATCH_UP_MS = 100;

/** Calls `act` when `ms` have passed, with how much of it QEMU was starved. Returns a function that cancels it. */
export function wallTimer(ms: number, act: (starved: number) => void): () => void {
  const begun = monotonicMs();
  const starvedBefore = starvedMs();
  let timer: NodeJS.Timeout | undefined;
  const fire = () => act(Math.min(starvedMs() - starvedBefore, monotonicMs() - begun));
  const wait = () => {
    const left = ms - (monotonicMs() - begun);
    const slice = Math.min(Math.max(left, 0), MAX_TIMER_MS);
    timer = setTimeout(() => {
      const over = monotonicMs() - begun - ms;
      if (over > LATE_MS) timer = setTimeout(fire, CATCH_UP_MS);
      else if (over >= 0) fire();
      else wait();
    }, slice);
  };
  wait();
  return () => clearTimeout(timer);
}
