import type { Queue } from 'bullmq';
import type { QueuedAttempts } from '../../repro/run/attempt-queue.js';
import { monotonicMs } from '../../util/time/clock.js';
import type { Connection } from '../store/connection.js';
import { jobBody, jobId, type AttemptJob } from '../store/manifest.js';
import { PREFIX, type SessionNames } from '../store/names.js';
import type { QueueKey } from '../store/seal.js';

/** Jobs for each fork: one that runs, and one for when it ends. */
const JOBS_A_FORK = 2;
const MIN_JOBS = 16;
const MAX_JOBS = 4096;
/** A job that is younger may be on its way. */
const SETTLED_MS = 3000;

interface WindowParts {
  readonly attempts: QueuedAttempts;
  readonly connection: Connection;
  readonly key: QueueKey;
  readonly session: string;
  readonly names: SessionNames;
}

/** The attempts that are in the queue: a window that moves over all of them, so that their number costs no memory. */
export class JobWindow {
  readonly #parts: WindowParts;
  readonly #queue: Queue;
  /** When each attempt in the queue was added. */
  readonly #open = new Map<number, number>();
  /** No attempt was left when none was in the queue. */
  #isDone = false;

  constructor(parts: WindowParts) {
    this.#parts = parts;
    this.#queue = new parts.connection.bull.Queue(parts.names.queue, {
      connection: parts.connection.redis,
      prefix: PREFIX,
      skipVersionCheck: true,
      streams: { events: { maxLen: 0 } },
    });
    this.#queue.on('error', () => {});
  }

  /** Whether all attempts were made; known after `fill`. */
  get isDone(): boolean {
    return this.#isDone;
  }

  get size(): number {
    return this.#open.size;
  }

  has(index: number): boolean {
    return this.#open.has(index);
  }

  /** Whether the result of the attempt is the first one. */
  finish(index: number): boolean {
    return this.#open.delete(index);
  }

  /** Adds attempts until each fork has enough to do. */
  async fill(forks: number): Promise<void> {
    const limit = Math.min(MAX_JOBS, Math.max(MIN_JOBS, JOBS_A_FORK * forks));
    // Not one at a time: adding many costs as much as adding one.
    if (this.#open.size > limit * 0.75) return;
    const added = this.#parts.attempts.take(limit - this.#open.size);
    this.#isDone = this.#open.size === 0 && added.length === 0;
    await this.#add(added);
  }

  /** The attempts whose job is not in Redis. */
  async findMissing(): Promise<readonly number[]> {
    const settled = monotonicMs() - SETTLED_MS;
    const old = [...this.#open].filter(([, since]) => since < settled).map(([index]) => index);
    if (old.length === 0) return [];
    const pipeline = this.#parts.connection.redis.pipeline();
    for (const index of old) pipeline.exists(this.#queue.toKey(jobId(index)));
    const answers = (await pipeline.exec()) ?? [];
    return old.filter((_, at) => answers[at]?.[1] === 0);
  }

  async addAgain(indices: readonly number[]): Promise<void> {
    await this.#add(indices.filter((index) => this.#open.has(index)));
  }

  /** Returns the attempts that no worker finished, and removes them from the queue. */
  async takeFailed(): Promise<readonly { readonly index: number; readonly seed: number }[]> {
    const failed = await this.#queue.getFailed(0, MAX_JOBS);
    const given: number[] = [];
    for (const job of failed) {
      await job.remove();
      const index = Number(/^attempt-(\d+)$/.exec(job.id ?? '')?.[1]);
      // One that was not signed is not ours; ours is found missing, and added again.
      if (job.failedReason !== 'not signed' && this.finish(index)) given.push(index);
    }
    return given.map((index) => ({ index, seed: this.#parts.attempts.seedOf(index) }));
  }

  /** Removes the queue. */
  async remove(): Promise<void> {
    await this.#queue.obliterate({ force: true });
    await this.#queue.close();
  }

  async #add(indices: readonly number[]): Promise<void> {
    if (indices.length === 0) return;
    const { attempts, key, session } = this.#parts;
    const now = monotonicMs();
    for (const index of indices) this.#open.set(index, now);
    await this.#queue.addBulk(
      indices.map((index) => {
        const seed = attempts.seedOf(index);
        const data: AttemptJob = {
          index,
          seed,
          sealed: key.seal('attempt', session, jobBody({ index, seed })).toString('base64'),
        };
        return { name: 'attempt', data, opts: { jobId: jobId(index), removeOnComplete: true, attempts: 1 } };
      }),
    );
  }
}
