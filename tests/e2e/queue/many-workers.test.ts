import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { AttemptRecord } from '@qmpilot/core';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { leftovers, leftoversSince } from '../../support/leftovers.js';
import { startRedis, type TestRedis } from '../../support/redis.js';
import { makeTinyGuest, type TinyGuest } from '../../support/tiny-guest.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BIN = join(ROOT, 'packages/cli/dist/bin.js');
const SCENARIO = join(ROOT, 'tests/support/scenarios/queued.repro.ts');
const ATTEMPTS = 60;
const LEASE_MS = 1500;

let dir: string;
let guest: TinyGuest;
let redis: TestRedis;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-queue-test-'));
  guest = await makeTinyGuest(dir);
  redis = await startRedis(join(dir, 'redis'), '--appendonly', 'yes');
});
afterAll(async () => {
  await redis.stop();
  rmSync(dir, { recursive: true, force: true });
});

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly text: () => string;
}

const running: Running[] = [];
afterEach(async () => {
  for (const { child, ended } of running.splice(0)) {
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    await ended;
  }
});

const qmpilot = (...args: readonly string[]) => qmpilotWith({}, ...args);

function qmpilotWith(variables: NodeJS.ProcessEnv, ...args: readonly string[]): Running {
  const env = {
    ...process.env,
    TINY_KERNEL: guest.kernel,
    TINY_INITRD: guest.initrd,
    QMPILOT_CACHE: process.env['QMPILOT_CACHE'] ?? '',
    QMPILOT_QUEUE_KEY: 'a secret of this test',
    ...variables,
  };
  const child = spawn(process.execPath, [BIN, ...args], { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const add = (chunk: string) => void (text += chunk);
  child.stdout.setEncoding('utf8').on('data', add);
  child.stderr.setEncoding('utf8').on('data', add);
  const ended = once(child, 'close').then(([code]: (number | null)[]) => code ?? null);
  const one = { child, ended, text: () => text };
  running.push(one);
  return one;
}

const startWorkers = (count: number) =>
  Array.from({ length: count }, () => qmpilot('worker', '--queue', redis.url, '--forks', '1'));
const attemptsOf = (name: string) => {
  const file = join(dir, name, 'attempts.jsonl');
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line): AttemptRecord => JSON.parse(line));
};
const essence = (records: readonly AttemptRecord[]) =>
  records
    .map(({ index, outcome, reason, seed, findings }) => ({
      ...{ index, outcome, reason, seed },
      titles: findings.map(({ title }) => title),
    }))
    .toSorted((one, other) => one.index - other.index);

it('a run of which workers are killed and stopped, and Redis is restarted, ends with the attempts of a run on one machine', async () => {
  const before = leftovers();
  const attempts = ['--attempts', String(ATTEMPTS), '--seed', '5', '--quiet'];
  const here = qmpilot('repro', SCENARIO, ...attempts, '--out', 'here');
  expect(await here.ended, here.text()).toBe(1);

  const workers = startWorkers(4);
  const run = qmpilot(
    'repro',
    SCENARIO,
    ...attempts,
    '--out',
    'queued',
    '--queue',
    redis.url,
    '--lease',
    `${LEASE_MS}ms`,
  );
  const done = (count: number) =>
    expect
      .poll(() => attemptsOf('queued').length, { timeout: 60_000, interval: 20, message: run.text() })
      .toBeGreaterThanOrEqual(count);
  await done(5);
  workers[0]?.child.kill('SIGKILL');
  workers[1]?.child.kill('SIGSTOP');
  await done(10);
  await redis.restart();
  await done(15);
  workers[2]?.child.kill('SIGKILL');
  await sleep(2 * LEASE_MS);
  workers[1]?.child.kill('SIGCONT');

  expect(await run.ended, run.text()).toBe(1);
  expect(attemptsOf('queued')).toHaveLength(ATTEMPTS);
  expect(essence(attemptsOf('queued'))).toEqual(essence(attemptsOf('here')));
  expect(readFileSync(join(dir, 'queued/attempts/0001/console.log'), 'utf8')).toMatch(/^answer \d\r?$/m);
  for (const worker of workers) worker.child.kill('SIGTERM');
  expect(await workers[3]?.ended, workers[3]?.text()).toBe(0);
  await Promise.all(workers.map(({ ended }) => ended));
  await expect.poll(() => leftoversSince(before), { timeout: 10_000 }).toEqual([]);
});

it('ends on all workers when the failure was reproduced often enough, and when the run is interrupted', async () => {
  const workers = startWorkers(3);
  const options = ['--attempts', '400', '--quiet', '--queue', redis.url];
  const reproduced = qmpilot('repro', SCENARIO, ...options, '--until-reproduced', '2', '--out', 'until');
  expect(await reproduced.ended, reproduced.text()).toBe(1);
  const outcomes = attemptsOf('until').map(({ outcome }) => outcome);
  // Attempts that others were making at that time may still count.
  const counted = outcomes.filter((outcome) => outcome === 'reproduced').length;
  expect(counted).toBeGreaterThanOrEqual(2);
  expect(counted).toBeLessThanOrEqual(2 + workers.length);

  const interrupted = qmpilot('repro', SCENARIO, ...options, '--out', 'interrupted');
  await expect
    .poll(() => attemptsOf('interrupted').length, { timeout: 60_000, interval: 20, message: interrupted.text() })
    .toBeGreaterThan(0);
  interrupted.child.kill('SIGINT');
  expect(await interrupted.ended, interrupted.text()).toBe(130);
  const made = attemptsOf('interrupted').length;
  expect(made).toBeLessThan(400);

  // The workers are free for another run.
  const next = qmpilot('repro', SCENARIO, '--attempts', '6', '--quiet', '--queue', redis.url, '--out', 'next');
  expect(await next.ended, next.text()).not.toBeNull();
  expect(attemptsOf('next')).toHaveLength(6);
  expect(attemptsOf('interrupted')).toHaveLength(made);
});

it('sends evidence over a shared directory, and continues a run whose process was killed', async () => {
  const shared = join(dir, 'shared');
  const worker = qmpilot('worker', '--queue', redis.url, '--forks', '1');
  const options = ['--attempts', '30', '--seed', '5', '--quiet', '--queue', redis.url, '--evidence', shared];
  const killed = qmpilot('repro', SCENARIO, ...options, '--out', 'killed');
  await expect
    .poll(() => attemptsOf('killed').length, { timeout: 60_000, interval: 20, message: killed.text() })
    .toBeGreaterThanOrEqual(5);
  killed.child.kill('SIGKILL');
  await killed.ended;
  const kept = attemptsOf('killed').length;

  // Until the killed process counts as gone, the run has an owner.
  const second = qmpilot('repro', '--resume', 'killed', '--quiet', '--queue', redis.url, '--evidence', shared);
  expect(await second.ended, second.text()).toBe(2);
  expect(second.text()).toContain('is in progress on this queue already');
  const client = new Redis(redis.url);
  await expect.poll(() => client.keys('*:owner:*'), { timeout: 60_000, interval: 200 }).toEqual([]);
  client.disconnect();

  const resumed = qmpilot('repro', '--resume', 'killed', '--quiet', '--queue', redis.url, '--evidence', shared);
  expect(await resumed.ended, resumed.text()).toBe(1);
  const records = attemptsOf('killed');
  expect(records.slice(0, kept).map(({ index }) => index)).toEqual(records.map(({ index }) => index).slice(0, kept));
  expect(records.map(({ index }) => index).toSorted((one, other) => one - other)).toEqual(
    Array.from({ length: 30 }, (_, at) => at + 1),
  );
  for (const { index } of records)
    expect(readFileSync(join(dir, 'killed/attempts', String(index).padStart(4, '0'), 'console.log'), 'utf8')).toMatch(
      /^answer \d\r?$/m,
    );
  await expect.poll(() => readdirSync(shared), { timeout: 60_000 }).toEqual([]);
  worker.child.kill('SIGTERM');
  await worker.ended;
});

it('says that only workers with another key are there', async () => {
  const worker = qmpilotWith({ QMPILOT_QUEUE_KEY: 'the secret of somebody else' }, 'worker', '--queue', redis.url);
  await expect.poll(() => worker.text(), { timeout: 30_000 }).toContain('waiting for runs');
  const run = qmpilot('repro', SCENARIO, '--attempts', '2', '--quiet', '--queue', redis.url, '--out', 'other-key');
  expect(await run.ended, run.text()).toBe(2);
  expect(run.text()).toContain('has another QMPILOT_QUEUE_KEY than this run');
  worker.child.kill('SIGTERM');
  await worker.ended;
});
