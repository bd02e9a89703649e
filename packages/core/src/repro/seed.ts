import { createHash } from 'node:crypto';

const SEED_BYTES = 6;

/** The seed of one attempt, below 2^48: of the run's seed and the index only, so that it is the same for any process that runs the attempt, at any time. */
export function seedOf(run: number, index: number): number {
  return createHash('sha256').update(`${run}:${index}`).digest().readUIntBE(0, SEED_BYTES);
}

/** A seed that all shards of a run choose without being told. */
export function seedOfText(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, SEED_BYTES);
}
