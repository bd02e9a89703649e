import type { AttemptRecord } from '../../run-files/attempt-record.js';
import type { RunFile } from '../../run-files/run-file.js';

/** The indices of this run directory, in order: all of the run, or those of its shard. */
export function plannedIndices({ attempts, shard }: Pick<RunFile, 'attempts' | 'shard'>): number[] {
  const all = Array.from({ length: attempts }, (_, index) => index + 1);
  return shard === undefined ? all : all.filter((index) => index % shard.count === shard.index % shard.count);
}

/** Returns the planned attempts that are not finished. */
export function pendingIndices(
  run: Pick<RunFile, 'attempts' | 'shard'>,
  done: readonly Pick<AttemptRecord, 'index'>[],
): number[] {
  const finished = new Set(done.map(({ index }) => index));
  return plannedIndices(run).filter((index) => !finished.has(index));
}
