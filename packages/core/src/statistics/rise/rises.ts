import type { Count } from '../count.js';

/** A point by its number; -1 is the start, and the number of points is the end. */
export type Place = number;

/** A difference of the probabilities of two places. */
export interface Rise {
  readonly from: Place;
  readonly to: Place;
  /** By how much the probability is greater at `to`; estimated, so that few attempts do not look extreme. */
  readonly by: number;
}

/** Returns the neighbours among the known places between which the probability rises most. */
export function biggestRise(
  known: ReadonlyMap<Place, Count | 'certain'>,
  counts: (rise: Rise) => boolean,
): Rise | undefined {
  const places = [...known].toSorted(([one], [other]) => one - other);
  const rises = places.slice(1).map(([to, count], index) => {
    const [from, before] = places[index] ?? [to, count];
    return { from, to, by: estimate(count) - estimate(before) };
  });
  return rises.filter(counts).toSorted((one, other) => other.by - one.by)[0];
}

/** Returns the point between two places that is nearest to the middle of their times; undefined when there is none. */
export function middleOf(
  { from, to }: Rise,
  {
    times,
    startTime,
    endTime,
  }: { readonly times: readonly number[]; readonly startTime: number; readonly endTime: number },
): Place | undefined {
  const middle = ((times[from] ?? startTime) + (times[to] ?? endTime)) / 2;
  return times
    .map((time, point) => ({ point, distance: Math.abs(time - middle) }))
    .slice(from + 1, to)
    .toSorted((one, other) => one.distance - other.distance)[0]?.point;
}

/** The posterior mean with Jeffreys' prior. */
function estimate(count: Count | 'certain'): number {
  return count === 'certain' ? 1 : (count.failures + 0.5) / (count.attempts + 1);
}
