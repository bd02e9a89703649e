import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AttemptRecord } from '@qmpilot/core';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { leftovers, leftoversSince } from '../../support/leftovers.js';
import { NetworkHosts } from '../../support/network-hosts.js';
import { QueuedRuns } from '../../support/queued-runs.js';

const ATTEMPTS = 60;
const LEASE_MS = 1500;
const PASSWORD = 'password-of-this-test';

let runs: QueuedRuns;
let url: string;
let hosts: NetworkHosts;
beforeAll(async () => {
  hosts = new NetworkHosts(4);
  const address = hosts.all.length > 0 ? '0.0.0.0' : '127.0.0.1';
  runs = await QueuedRuns.open('--appendonly', 'yes', '--bind', address, '--requirepass', PASSWORD);
  url = runs.redis.url.replace('redis://', `redis://:${PASSWORD}@`);
});
afterEach(async () => runs.stopAll());
afterAll(async () => {
  await runs?.close();
  hosts.remove();
});

const scenario = () => runs.scenario('queued');
/** Each one on a host of its own, where that is possible. */
const startWorkers = (count: number) =>
  Array.from({ length: count }, (_, at) => {
    const host = hosts.all[at];
    return runs.worker({
      url: host ? url.replace('127.0.0.1', host.gateway) : url,
      ...(host && { on: host.command }),
    });
  });
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
  const here = runs.qmpilot('repro', scenario(), ...attempts, '--out', 'here');
  expect(await here.ended, here.text()).toBe(1);

  const workers = startWorkers(4);
  const run = runs.qmpilot(
    'repro',
    scenario(),
    ...attempts,
    '--out',
    'queued',
    '--queue',
    url,
    '--lease',
    `${LEASE_MS}ms`,
  );
  const done = (count: number) =>
    expect
      .poll(() => runs.attemptsOf('queued').length, { timeout: 60_000, interval: 20, message: run.text() })
      .toBeGreaterThanOrEqual(count);
  await done(5);
  workers[0]?.child.kill('SIGKILL');
  workers[1]?.child.kill('SIGSTOP');
  await done(10);
  await runs.redis.restart();
  await done(15);
  workers[2]?.child.kill('SIGKILL');
  await sleep(2 * LEASE_MS);
  workers[1]?.child.kill('SIGCONT');

  expect(await run.ended, run.text()).toBe(1);
  expect(runs.attemptsOf('queued')).toHaveLength(ATTEMPTS);
  expect(essence(runs.attemptsOf('queued'))).toEqual(essence(runs.attemptsOf('here')));
  expect(readFileSync(join(runs.dir, 'queued/attempts/0001/console.log'), 'utf8')).toMatch(/^answer \d\r?$/m);
  for (const worker of workers) worker.child.kill('SIGTERM');
  expect(await workers[3]?.ended, workers[3]?.text()).toBe(0);
  await Promise.all(workers.map(({ ended }) => ended));
  await expect.poll(() => leftoversSince(before), { timeout: 10_000 }).toEqual([]);
  const folders = () => readdirSync(tmpdir()).filter((name) => name.startsWith('qmpilot-worker-'));
  await expect.poll(folders, { timeout: 10_000 }).toEqual([]);
});

it('ends on all workers when the failure was reproduced often enough, its rate is known, or the run is interrupted', async () => {
  const workers = startWorkers(3);
  const options = ['--attempts', '400', '--quiet', '--queue', url];
  const reproduced = runs.qmpilot('repro', scenario(), ...options, '--until-reproduced', '2', '--out', 'until');
  expect(await reproduced.ended, reproduced.text()).toBe(1);
  const outcomes = runs.attemptsOf('until').map(({ outcome }) => outcome);
  // Attempts that others were making at that time may still count.
  const counted = outcomes.filter((outcome) => outcome === 'reproduced').length;
  expect(counted).toBeGreaterThanOrEqual(2);
  expect(counted).toBeLessThanOrEqual(2 + workers.length);

  const interrupted = runs.qmpilot('repro', scenario(), ...options, '--out', 'interrupted');
  await expect
    .poll(() => runs.attemptsOf('interrupted').length, { timeout: 60_000, interval: 20, message: interrupted.text() })
    .toBeGreaterThan(0);
  interrupted.child.kill('SIGINT');
  expect(await interrupted.ended, interrupted.text()).toBe(130);
  const made = runs.attemptsOf('interrupted').length;
  expect(made).toBeLessThan(400);

  // The workers are free for another run.
  const next = runs.qmpilot('repro', scenario(), ...options, '--until', 'rate>0.1@95%', '--out', 'next');
  expect(await next.ended, next.text()).toBe(1);
  expect(runs.attemptsOf('next').length).toBeLessThan(200);
  expect(runs.attemptsOf('interrupted')).toHaveLength(made);
});

it('sends evidence over a shared directory, and continues a run whose process was killed', async () => {
  const shared = join(runs.dir, 'shared');
  const worker = runs.worker({ url });
  const options = ['--attempts', '30', '--seed', '5', '--quiet', '--queue', url, '--evidence', shared];
  const killed = runs.qmpilot('repro', scenario(), ...options, '--out', 'killed');
  await expect
    .poll(() => runs.attemptsOf('killed').length, { timeout: 60_000, interval: 20, message: killed.text() })
    .toBeGreaterThanOrEqual(5);
  killed.child.kill('SIGKILL');
  await killed.ended;
  const kept = runs.attemptsOf('killed').length;

  // Until the killed process counts as gone, the run has an owner.
  const second = runs.qmpilot('repro', '--resume', 'killed', '--quiet', '--queue', url, '--evidence', shared);
  expect(await second.ended, second.text()).toBe(2);
  expect(second.text()).toContain('is in progress on this queue already');
  const client = new Redis(url);
  await expect.poll(() => client.keys('*:owner:*'), { timeout: 60_000, interval: 200 }).toEqual([]);
  client.disconnect();

  const resumed = runs.qmpilot('repro', '--resume', 'killed', '--quiet', '--queue', url, '--evidence', shared);
  expect(await resumed.ended, resumed.text()).toBe(1);
  const records = runs.attemptsOf('killed');
  expect(records.slice(0, kept).map(({ index }) => index)).toEqual(records.map(({ index }) => index).slice(0, kept));
  expect(records.map(({ index }) => index).toSorted((one, other) => one - other)).toEqual(
    Array.from({ length: 30 }, (_, at) => at + 1),
  );
  for (const { index } of records)
    expect(
      readFileSync(join(runs.dir, 'killed/attempts', String(index).padStart(4, '0'), 'console.log'), 'utf8'),
    ).toMatch(/^answer \d\r?$/m);
  await expect.poll(() => readdirSync(shared), { timeout: 60_000 }).toEqual([]);
  worker.child.kill('SIGTERM');
  await worker.ended;
});

it('says that only workers with another key are there', async () => {
  const worker = runs.worker({ url, env: { QMPILOT_QUEUE_KEY: 'the secret of somebody else' } });
  await expect.poll(() => worker.text(), { timeout: 30_000 }).toContain('waiting for runs');
  const run = runs.qmpilot('repro', scenario(), '--attempts', '2', '--quiet', '--queue', url, '--out', 'other-key');
  expect(await run.ended, run.text()).toBe(2);
  expect(run.text()).toContain('has another QMPILOT_QUEUE_KEY than this run');
  worker.child.kill('SIGTERM');
  await worker.ended;
});
