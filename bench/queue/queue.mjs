// What a queue costs: pnpm bench:queue [--simulate] [--check]   (build first; needs redis-server).
// Attempts a minute with workers against the same without a queue, and the time of attempts that end at once; with --simulate only the
// latter, with 500 workers and up to 100 000 attempts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createJiti } from 'jiti';
import { openQueue } from '../../packages/core/dist/queue/index.js';
import { reportBounds } from '../bounds.mjs';

const ATTEMPTS = 120;
/** Wanted: what the queue adds to an attempt of one worker, in ms. */
const MAX_OVERHEAD_MS = 30;
const path = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const BIN = path('packages/cli/dist/bin.js');
const SCENARIO = path('tests/support/scenarios/queued.repro.ts');

const dir = mkdtempSync(join(tmpdir(), 'qmpilot-bench-queue-'));
process.env.QMPILOT_QUEUE_KEY = 'a secret of this benchmark';
const jiti = createJiti(import.meta.url);
const { makeTinyGuest } = await jiti.import('../../tests/support/tiny-guest.ts');
const { startRedis } = await jiti.import('../../tests/support/redis.ts');
const { kernel, initrd } = await makeTinyGuest(dir);
Object.assign(process.env, { TINY_KERNEL: kernel, TINY_INITRD: initrd });
const redis = await startRedis(join(dir, 'redis'));
const out = (text) => process.stdout.write(`${text}\n`);
const bounds = [];

try {
  const simulated = process.argv.includes('--simulate');
  if (!simulated) await compare();
  out(
    '\nSimulated: attempts that end after 1 ms.\n\n| workers | attempts | time | for each attempt | heap of the coordinator, at most |\n|---|---|---|---|---|',
  );
  await (simulated ? simulate(500, 4, [25_000, 50_000, 100_000]) : simulate(8, 1, [10_000]));
} finally {
  await redis.stop();
  rmSync(dir, { recursive: true, force: true });
}
if (bounds.length > 0) reportBounds(bounds);

/** Attempts of real VMs, with and without a queue. */
async function compare() {
  const here = new Map();
  for (const forks of [1, 2]) here.set(forks, await attemptMs(['--forks', String(forks)]));
  out(
    `Linux ${release()}, ${cpus().length} cores, Node.js ${process.versions.node}; ${ATTEMPTS} attempts of the tiny guest.`,
  );
  out('\n| what | for each attempt | attempts a minute | more than without a queue |\n|---|---|---|---|');
  for (const [forks, ms] of here)
    out(`| without a queue, ${forks} at a time | ${ms.toFixed(0)} ms | ${(60_000 / ms).toFixed(0)} | |`);
  for (const count of [1, 2, 4]) {
    const workers = Array.from({ length: count }, () =>
      start([BIN, 'worker', '--queue', redis.url, '--forks', '1', '--quiet']),
    );
    const ms = await attemptMs(['--queue', redis.url]);
    await stopAll(workers);
    const more = here.has(count) ? `${(ms - here.get(count)).toFixed(0)} ms` : '';
    out(
      `| ${count} ${count === 1 ? 'worker' : 'workers'} | ${ms.toFixed(0)} ms | ${(60_000 / ms).toFixed(0)} | ${more} |`,
    );
    if (count === 1) bounds.push(['one worker: more for each attempt, ms', ms - here.get(1), '<=', MAX_OVERHEAD_MS]);
  }
}

/** Runs the scenario; returns the time between the ends of two attempts, from the tenth on. */
async function attemptMs(options) {
  const folder = mkdtempSync(join(dir, 'run-'));
  const child = spawn(
    process.execPath,
    [
      BIN,
      'repro',
      SCENARIO,
      '--attempts',
      String(ATTEMPTS),
      '--json',
      '--quiet',
      '--out',
      join(folder, 'run'),
      ...options,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ends = [];
  for await (const line of createInterface({ input: child.stdout }))
    if (JSON.parse(line).type === 'attempt') ends.push(performance.now());
  if (ends.length !== ATTEMPTS) throw new Error(`${ends.length} attempts of ${ATTEMPTS}`);
  return (ends.at(-1) - ends[9]) / (ends.length - 10);
}

/** Attempts of simulated workers, which are in `processes` processes; what is measured is the queue alone, without a run directory. */
async function simulate(count, processes, sizes) {
  const program = fileURLToPath(new URL('simulated-workers.mjs', import.meta.url));
  const workers = Array.from({ length: processes }, () => start([program, redis.url, String(count / processes)]));
  const scenario = join(dir, 'simulated.repro.js');
  writeFileSync(scenario, 'export default {};\n');
  for (const attempts of sizes) {
    const queue = await openQueue({ url: redis.url, scenario });
    let most = 0;
    // A byte for each attempt, so that what is measured is the coordinator.
    const seen = new Uint8Array(attempts + 1);
    let [made, taken] = [0, 0];
    const begun = performance.now();
    await queue.makeAttempts({
      run: { name: `simulated-${attempts}`, startedAt: new Date().toISOString(), seed: 1, timeoutMs: 60_000 },
      take: (count) => Array.from({ length: Math.min(count, attempts - taken) }, () => (taken += 1)),
      seedOf: (index) => index,
      dumped: true,
      fresh: false,
      guestKey: undefined,
      signal: undefined,
      tell: () => {},
      onPrepared: async () => {},
      onForks: async () => {},
      accept: async ({ index }) => {
        if (seen[index] !== 0) throw new Error(`attempt ${index} came twice`);
        seen[index] = 1;
        made += 1;
        if (made % 1000 === 0) {
          globalThis.gc?.();
          most = Math.max(most, process.memoryUsage().heapUsed);
        }
        return true;
      },
    });
    const ms = performance.now() - begun;
    await queue.close();
    if (made !== attempts) throw new Error(`${made} attempts of ${attempts}`);
    out(
      `| ${count} | ${attempts} | ${(ms / 1000).toFixed(1)} s | ${(ms / attempts).toFixed(2)} ms | ${(most / 2 ** 20).toFixed(0)} MiB |`,
    );
  }
  await stopAll(workers);
}

function start(args) {
  return spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

async function stopAll(children) {
  await Promise.all(
    children.map(async (child) => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }),
  );
}
