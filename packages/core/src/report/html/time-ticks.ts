/** Round distances on a time axis, in ms: up to a day. */
const DISTANCES = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 12e5, 18e5, 36e5, 72e5, 216e5,
  432e5, 864e5,
];

/** Returns round times between `from` and `to`, at distances of which at most `most` fit in between. */
export function timeTicks(from: number, to: number, most: number): number[] {
  const distance = DISTANCES.find((one) => (to - from) / one <= most) ?? (to - from) / most;
  const first = Math.ceil(from / distance);
  return Array.from({ length: Math.floor(to / distance) - first + 1 }, (_, index) => (first + index) * distance);
}
