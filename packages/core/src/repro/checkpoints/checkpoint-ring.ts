/** What decides which checkpoints of an attempt stay. */
export interface RingEntry {
  /** Milliseconds since the attempt began. */
  readonly at: number;
  readonly bytes: number;
  /** What the scenario calls this moment. */
  readonly mark?: string | undefined;
}

export interface RingLimits {
  readonly most: number;
  readonly bytes: number;
}

/** Returns the entries to drop, so that the others are within the limits. `entries` are in the order of their times. */
export function entriesToDrop<T extends RingEntry>(entries: readonly T[], { most, bytes }: RingLimits): T[] {
  let left = entries;
  const dropped: T[] = [];
  while (left.length > most || left.reduce((sum, entry) => sum + entry.bytes, 0) > bytes) {
    const next = leastNeeded(left);
    if (!next) break;
    dropped.push(next);
    left = left.filter((entry) => entry !== next);
  }
  return dropped;
}

/**
 * The entry whose neighbours are closest to each other, so that those that stay cover all of the attempt; marked ones only when there is no other. The
 * first, which is compared with the attempts of the run, and the last go when nothing else is left.
 */
export function leastNeeded<T extends RingEntry>(entries: readonly T[]): T | undefined {
  const inner = entries.slice(1, -1).map((entry, index) => ({
    entry,
    gap: (entries[index + 2]?.at ?? 0) - (entries[index]?.at ?? 0),
  }));
  const unmarked = inner.filter(({ entry }) => entry.mark === undefined);
  const [least] = (unmarked.length > 0 ? unmarked : inner).toSorted((one, other) => one.gap - other.gap);
  return least?.entry ?? entries[0];
}
