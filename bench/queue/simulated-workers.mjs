// Workers whose attempts end at once, for queue.mjs: node simulated-workers.mjs URL WORKERS
import { setTimeout as sleep } from 'node:timers/promises';
import { runWorker } from '../../packages/core/dist/queue/index.js';

const [url, workers] = process.argv.slice(2);
const facts = {
  qemu: { path: 'none', version: '0' },
  accelerator: { accelerator: 'tcg', reason: 'simulated' },
  machine: 'none',
  cpu: 'none',
  cpus: 1,
  memoryMiB: 1,
  guest: { name: 'simulated', key: 'simulated' },
  commandLine: [],
};

const start = async () => ({
  forks: 1,
  guest: { facts, prepared: { ms: 1, snapshotMs: 1, from: 'cache' } },
  lost: new AbortController().signal,
  make: async ({ index, seed }) => {
    await sleep(1);
    return {
      record: {
        v: 1,
        type: 'attempt',
        index,
        outcome: 'clean',
        startedAt: new Date().toISOString(),
        ms: 1,
        restoreMs: 1,
        seed,
        findings: [],
      },
      evidence: new Uint8Array(),
    };
  },
  close: async () => {},
});

const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
await Promise.all(
  Array.from({ length: Number(workers) }, () =>
    runWorker({ url, program: import.meta.filename, signal: stop.signal, start }),
  ),
);
