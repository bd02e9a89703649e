import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { patientTimer } from './patient-timer.js';

let now = 0;
let starved = 0;
vi.mock('./clock.js', () => ({ monotonicMs: () => now }));
vi.mock('./starvation.js', () => ({ starvedMs: () => starved }));
beforeEach(() => {
  now = 0;
  starved = 0;
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => vi.useRealTimers());

/** Time passes, for the clock and for timers; `asleep` more of it for the clock alone. */
function pass(ms: number, asleep = 0): void {
  now += ms + asleep;
  vi.advanceTimersByTime(ms);
}

it('a timer fires after its time, at once for none, and not when it was ended', () => {
  const act = vi.fn();
  patientTimer(2500, act);
  patientTimer(1000, () => expect.unreachable())();
  for (let second = 0; second < 2; second += 1) pass(1000);
  pass(499);
  expect(act).not.toHaveBeenCalled();
  pass(1);
  expect(act).toHaveBeenCalledOnce();
});

it('does not count time in which this process was stopped', () => {
  const act = vi.fn();
  patientTimer(3000, act);
  pass(1000, 3_600_000);
  pass(1000);
  expect(act).not.toHaveBeenCalled();
  pass(1000);
  expect(act).toHaveBeenCalledOnce();
});

it('does not count time in which QEMU was starved, three times its own length at most, and says how long it was', () => {
  const act = vi.fn();
  patientTimer(2000, act);
  for (let second = 0; second < 4; second += 1) {
    starved += 750;
    pass(1000);
  }
  expect(act).not.toHaveBeenCalled();
  for (let second = 0; second < 4; second += 1) {
    starved += 5000;
    pass(1000);
  }
  expect(act).toHaveBeenCalledExactlyOnceWith(6000);
});

it('repeats the last second when this process was stopped in it, once', () => {
  const act = vi.fn();
  patientTimer(2000, act);
  pass(1000);
  pass(1000, 3_600_000);
  expect(act).not.toHaveBeenCalled();
  pass(1000, 3_600_000);
  expect(act).toHaveBeenCalledOnce();
});

it('counts the time in which QEMU was starved when it is given no extension', () => {
  const act = vi.fn();
  patientTimer(2000, act, 0);
  starved += 750;
  pass(1000);
  pass(1000);
  expect(act).toHaveBeenCalledExactlyOnceWith(0);
});
