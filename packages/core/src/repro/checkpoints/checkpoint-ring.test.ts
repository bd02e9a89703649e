import { expect, it } from 'vitest';
import { entriesToDrop, leastNeeded, type RingEntry } from './checkpoint-ring.js';

function fill(times: readonly number[], limits: { most: number; bytes: number }, bytes = 10): RingEntry[] {
  let ring: RingEntry[] = [];
  for (const at of times) {
    ring.push({ at, bytes });
    const dropped = entriesToDrop(ring, limits);
    ring = ring.filter((entry) => !dropped.includes(entry));
  }
  return ring;
}

const seconds = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

it('keeps checkpoints that cover all of a long attempt, the first and the last among them', () => {
  const times = fill(seconds(1000), { most: 16, bytes: Infinity }).map(({ at }) => at);
  expect(times).toHaveLength(16);
  expect(times[0]).toBe(1);
  expect(times.at(-1)).toBe(1000);
  const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
  expect(Math.max(...gaps)).toBeLessThanOrEqual(130);
});

it('stays within its bytes, down to a single checkpoint', () => {
  const ring = fill(seconds(50), { most: 100, bytes: 95 });
  expect(ring.length).toBe(9);
  expect(fill(seconds(5), { most: 100, bytes: 15 })).toHaveLength(1);
  expect(fill(seconds(5), { most: 100, bytes: 5 })).toEqual([]);
});

it('drops marked ones last', () => {
  const ring = [1, 2, 3, 4, 5].map((at) => ({ at, bytes: 1, ...(at === 2 && { mark: 'after mount' }) }));
  expect(leastNeeded(ring)?.at).toBe(3);
  expect(leastNeeded([ring[0], ring[1], ring[4]].filter((entry) => entry !== undefined))?.at).toBe(2);
  expect(leastNeeded([])).toBeUndefined();
});
