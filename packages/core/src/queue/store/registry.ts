import type { Redis } from 'ioredis';
import * as v from 'valibot';
import { WORKERS, workerName } from './names.js';

/** A worker is gone when it has not said for so long that it is there. */
const WORKER_TTL_MS = 10_000;
export const ANNOUNCE_MS = 3000;

const ENTRY = v.object({
  host: v.string(),
  pid: v.number(),
  version: v.string(),
  /** Id of its key. */
  key: v.string(),
  forks: v.number(),
  /** The session that it makes attempts of. */
  session: v.optional(v.string()),
});

/** A worker as it announces itself. */
export type WorkerEntry = v.InferOutput<typeof ENTRY>;

export async function announce(redis: Redis, id: string, entry: WorkerEntry): Promise<void> {
  await redis.multi().sadd(WORKERS, id).set(workerName(id), JSON.stringify(entry), 'PX', WORKER_TTL_MS).exec();
}

export async function withdraw(redis: Redis, id: string): Promise<void> {
  await redis.multi().srem(WORKERS, id).del(workerName(id)).exec();
}

/** The workers that are there, of all versions and keys, by their ids. */
export async function listWorkers(redis: Redis): Promise<Map<string, WorkerEntry>> {
  const ids = await redis.smembers(WORKERS);
  if (ids.length === 0) return new Map();
  const texts = await redis.mget(ids.map(workerName));
  const gone = ids.filter((_, at) => typeof texts[at] !== 'string');
  if (gone.length > 0) await redis.srem(WORKERS, gone);
  const entries = ids.flatMap((id, at) => {
    const entry = parseEntry(texts[at] ?? '');
    return entry ? [[id, entry] as const] : [];
  });
  return new Map(entries);
}

function parseEntry(text: string): WorkerEntry | undefined {
  try {
    return v.parse(ENTRY, JSON.parse(text));
  } catch {
    return undefined;
  }
}
