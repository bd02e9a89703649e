/**
 * One run on many machines, by a queue in Redis: `openQueue` for the run, `runWorker` for the machines that make its attempts. Needs the packages
 * `bullmq` and `ioredis`.
 * @module
 */
export { openQueue } from './coordinator/open-queue.js';
export type { QueuedBuild, QueueOptions } from './coordinator/options.js';
export { serveAttempts } from './process/serve-attempts.js';
export type { WorkerEvent, WorkerOptions } from './worker/options.js';
export { runWorker } from './worker/run-worker.js';
export type { AttemptQueue } from '../repro/run/attempt-queue.js';
