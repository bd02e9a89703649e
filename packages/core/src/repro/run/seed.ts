import { createHash } from 'node:crypto';

const SEED_BYTES = 6;

/** Returns the seed of one attempt, below 2^48. It depends on the run's seed and the index only. */
export function seedOf(run: number, index: number): number {
  return createHash('sha256').update(`${run}:${index}`).digest().readUIntBE(0, SEED_BYTES);
}

/** Returns a seed that all shards of a run derive alike. */
export function seedOfText(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, SEED_BYTES);
}
