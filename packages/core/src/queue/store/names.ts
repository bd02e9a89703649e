import { createHash } from 'node:crypto';
import type { RunFile } from '../../run-files/run-file.js';

/** Prefix of all keys in Redis, those of BullMQ included. */
export const PREFIX = 'qmpilot';

/** The workers of all versions and keys: a set of their ids, and an entry for each that expires. */
export const WORKERS = `${PREFIX}:workers`;
export const workerName = (id: string) => `${PREFIX}:worker:${id}`;

/** Runs and workers of one version that share a key see each other. */
export const realmOf = (version: string, keyId: string) => `${PREFIX}:${version}:${keyId}`;

/** The runs of a realm that are in progress, by the time at which they began. */
export const runsName = (realm: string) => `${realm}:runs`;

/** Held by the process that coordinates a run: the same run directory cannot be continued twice at a time. */
export function ownerName(realm: string, { name, startedAt, seed, shard }: RunFile): string {
  const identity = JSON.stringify([name, startedAt, seed, shard ?? null]);
  return `${realm}:owner:${createHash('sha256').update(identity).digest('hex').slice(0, 32)}`;
}

/** Keys and channels of one session of a run. */
export interface SessionNames {
  /** What to make; there as long as the coordinator is. */
  readonly manifest: string;
  readonly bundle: string;
  /** From the workers to the coordinator; none may be lost. */
  readonly messages: string;
  /** The guest that was prepared first. */
  readonly guest: string;
  /** Set by the attempt that keeps the dump of the run. */
  readonly dump: string;
  /** Channel: events for the display. */
  readonly live: string;
  /** Channel: the run has ended. */
  readonly end: string;
  /** The queue of BullMQ. */
  readonly queue: string;
}

export function sessionNames(realm: string, session: string): SessionNames {
  const name = (part: string) => `${realm}:run:${session}:${part}`;
  return {
    manifest: name('manifest'),
    bundle: name('bundle'),
    messages: name('messages'),
    guest: name('guest'),
    dump: name('dump'),
    live: name('live'),
    end: name('end'),
    queue: `run-${session}`,
  };
}
