import * as v from 'valibot';

/** What workers have to know of a run; the coordinator signs it. */
const MANIFEST = v.strictObject({
  v: v.literal(1),
  session: v.string(),
  /** Of the run, for messages. */
  name: v.string(),
  /** SHA-256 of the bundle. */
  bundle: v.string(),
  /** The scenario's file in the bundle. */
  file: v.string(),
  /** Hash of the scenario and of what is bisected: the key of its cached guest. */
  source: v.string(),
  guest: v.optional(v.string()),
  kernel: v.optional(v.string()),
  build: v.optional(v.strictObject({ dir: v.string(), commit: v.string(), install: v.optional(v.string()) })),
  /** The attempts are forks of the checkpoints of a failing attempt of the run in `dir`. */
  checkpoints: v.optional(v.strictObject({ dir: v.string(), attempt: v.number() })),
  timeoutMs: v.number(),
  /** An attempt whose worker is silent for so long is made by another one. */
  leaseMs: v.number(),
  fresh: v.boolean(),
  /** Attempts that the run began with were made on this guest. */
  guestKey: v.optional(v.string()),
  /** Directory for evidence that all machines share; without it evidence travels through the queue. */
  evidence: v.optional(v.string()),
  /** The first failure keeps the guest's memory. */
  dump: v.boolean(),
});

export type Manifest = v.InferOutput<typeof MANIFEST>;

export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(JSON.stringify(manifest));
}

/** @throws for one that this version does not know */
export function decodeManifest(body: Buffer): Manifest {
  return v.parse(MANIFEST, JSON.parse(body.toString()));
}

/** A job of the queue. Its signature binds it to the session, whose manifest names the scenario. */
export interface AttemptJob {
  readonly index: number;
  readonly seed: number;
  /** Base64. */
  readonly sealed: string;
}

/** The signed body of a job. */
export const jobBody = ({ index, seed }: Pick<AttemptJob, 'index' | 'seed'>) => Buffer.from(`${index} ${seed}`);

export const jobId = (index: number) => `attempt-${index}`;
