import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { wallTimer } from './wall-timer.js';

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

function pass(ms: number): void {
  now += ms;
  vi.advanceTimersByTime(ms);
}

it('fires after its time, however little QEMU got of it, and says how much it was starved', () => {
  const act = vi.fn();
  wallTimer(2000, act);
  starved += 1500;
  pass(1999);
  expect(act).not.toHaveBeenCalled();
  pass(1);
  expect(act).toHaveBeenCalledExactlyOnceWith(1500);
});

it('lets what came while this process was stopped be read first', () => {
  const act = vi.fn();
  wallTimer(2000, act);
  now += 60_000;
  vi.advanceTimersByTime(2000);
  expect(act).not.toHaveBeenCalled();
  pass(100);
  expect(act).toHaveBeenCalledOnce();
});

it('does not fire early for times that setTimeout cannot hold, and not when it was cancelled', () => {
  const act = vi.fn();
  wallTimer(2 ** 32, act);
  wallTimer(1000, () => expect.unreachable())();
  pass(2 ** 31);
  expect(act).not.toHaveBeenCalled();
  pass(2 ** 31);
  expect(act).toHaveBeenCalledOnce();
});
