/**
 * The cycles of a graph in which each task waits for those that hold what it wants. Each cycle begins with its member of the
 * lowest rank.
 */
export function findCycles(
  waitsFor: ReadonlyMap<bigint, readonly bigint[]>,
  rank: (task: bigint) => number,
): bigint[][] {
  const cycles: bigint[][] = [];
  const done = new Set<bigint>();
  for (const start of waitsFor.keys()) {
    const path: bigint[] = [];
    const place = new Map<bigint, number>();
    // One way out of each task is followed: a lock has one owner, and of many readers one is known.
    for (let at: bigint | undefined = start; at !== undefined && !done.has(at); at = waitsFor.get(at)?.[0]) {
      const index = place.get(at);
      if (index !== undefined) {
        cycles.push(rotated(path.slice(index), rank));
        break;
      }
      place.set(at, path.length);
      path.push(at);
    }
    for (const task of path) done.add(task);
  }
  return cycles;
}

function rotated(cycle: readonly bigint[], rank: (task: bigint) => number): bigint[] {
  const ranks = cycle.map(rank);
  const first = ranks.indexOf(Math.min(...ranks));
  return [...cycle.slice(first), ...cycle.slice(0, first)];
}
