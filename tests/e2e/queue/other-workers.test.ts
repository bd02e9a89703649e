import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { WORKERS, workerName } from '../../../packages/core/src/queue/store/names.js';
import { listWorkers } from '../../../packages/core/src/queue/store/registry.js';
import { QueuedRuns } from '../../support/queued-runs.js';
import { startRedis } from '../../support/redis.js';

let runs: QueuedRuns;
beforeAll(async () => {
  runs = await QueuedRuns.open();
});
afterEach(async () => runs.stopAll());
afterAll(async () => runs?.close());

const repro = (scenario: string, attempts: number, out: string, ...more: readonly string[]) =>
  runs.qmpilot(
    ...['repro', runs.scenario(scenario), '--attempts', String(attempts), '--seed', '5', '--out', out],
    ...['--queue', runs.redis.url, ...more],
  );

it('an attempt whose workers are lost each time is inconclusive, and the others are made', async () => {
  let isOver = false;
  const replaced = async () => {
    let workers = 0;
    while (!isOver) {
      workers += 1;
      await runs.worker().ended;
    }
    return workers;
  };
  const hosts = [replaced(), replaced()];
  const run = repro('kills-workers', 4, 'lost', '--lease', '1s');
  const code = await run.ended;
  isOver = true;
  await runs.stopAll();
  const records = runs.attemptsOf('lost').toSorted((one, other) => one.index - other.index);
  expect(
    records.map(({ index }) => index),
    run.text(),
  ).toEqual([1, 2, 3, 4]);
  const lost = 'the workers that made this attempt were lost, again and again';
  expect(records[1]).toMatchObject({ outcome: 'inconclusive', reason: lost });
  for (const at of [0, 2, 3]) expect(records[at]?.outcome).toBe('clean');
  expect(code, run.text()).toBe(0);
  const workers = (await Promise.all(hosts)).reduce((sum, count) => sum + count, 0);
  expect(workers).toBeGreaterThan(10);
});

it('keeps the memory of the first failure in the directory that all machines share, and says that it needs one', async () => {
  runs.worker();
  runs.worker();
  const shared = repro('panics', 4, 'dumped', '--evidence', 'shared');
  expect(await shared.ended, shared.text()).toBe(1);
  const records = runs.attemptsOf('dumped');
  expect(records.map(({ outcome }) => outcome)).toEqual(['reproduced', 'reproduced', 'reproduced', 'reproduced']);
  const [dump, ...others] = records.flatMap(({ dump: path }) => path ?? []);
  expect(others).toEqual([]);
  const bytes = readFileSync(join(runs.dir, 'dumped', dump ?? ''));
  expect(bytes.subarray(1, 4).toString()).toBe('ELF');
  expect(bytes.length).toBeGreaterThan(64 << 20);

  const without = repro('panics', 2, 'not-dumped');
  expect(await without.ended, without.text()).toBe(1);
  expect(runs.attemptsOf('not-dumped').flatMap(({ dump: path }) => path ?? [])).toEqual([]);
  expect(without.text()).toContain('detect.dump keeps no dump of this run');
});

it('a worker of another version is not used', async () => {
  const client = new Redis(runs.redis.url);
  try {
    const ours = runs.worker();
    await expect.poll(() => ours.text(), { timeout: 30_000 }).toContain('waiting for runs');
    const [ourEntry] = (await listWorkers(client)).values();
    ours.child.kill('SIGTERM');
    await ours.ended;
    await client.sadd(WORKERS, 'old');
    await client.set(workerName('old'), JSON.stringify({ ...ourEntry, host: 'old-host', version: '0.0.1' }));
    const run = repro('queued', 2, 'other-version');
    expect(await run.ended, run.text()).toBe(2);
    expect(run.text()).toMatch(
      /no worker on this queue can make attempts of this run: the worker on old-host is qmpilot 0\.0\.1, and this is \d/,
    );
    await client.del(workerName('old'));
  } finally {
    client.disconnect();
  }
});

it('leaves the attempts to others when a worker cannot build the image, and ends the run when there are none', async () => {
  // An empty cache, and nothing that answers where the packages are.
  const env = { QMPILOT_CACHE: join(runs.dir, 'empty-cache'), http_proxy: 'http://127.0.0.1:1' };
  const unable = runs.worker({ env });
  await expect.poll(() => unable.text(), { timeout: 30_000 }).toContain('waiting for runs');
  const alone = repro('own-image', 2, 'alone');
  expect(await alone.ended, alone.text()).toBe(125);
  expect(alone.text()).toMatch(/the worker on \S+ cannot make attempts of this run: cannot fetch packages/);

  runs.worker();
  const together = repro('own-image', 2, 'together');
  expect(await together.ended, together.text()).toBe(0);
  expect(runs.attemptsOf('together').map(({ outcome }) => outcome)).toEqual(['clean', 'clean']);
  expect(readdirSync(runs.dir)).toContain('together');
});

it('uses TLS, with a certificate of the own organisation', async () => {
  const [key, certificate] = [join(runs.dir, 'redis.key'), join(runs.dir, 'redis.crt')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const made = spawnSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', certificate, ...subject],
    { encoding: 'utf8' },
  );
  expect(made.status, made.stderr).toBe(0);
  const redis = await startRedis(
    join(runs.dir, 'redis-tls'),
    ...['--requirepass', 'password-of-this-test', '--tls-cert-file', certificate, '--tls-key-file', key],
    ...['--tls-ca-cert-file', certificate, '--tls-auth-clients', 'no'],
  );
  try {
    const url = redis.url.replace('redis://', 'rediss://:password-of-this-test@');
    const args = ['repro', runs.scenario('queued'), '--attempts', '6', '--seed', '5', '--quiet', '--queue', url];
    const untrusted = runs.qmpilot(...args, '--out', 'untrusted');
    expect(await untrusted.ended, untrusted.text()).toBe(125);
    expect(untrusted.text()).toMatch(
      /cannot connect to the queue at rediss:\/\/127\.0\.0\.1:\d+: self-signed certificate/,
    );
    expect(untrusted.text()).not.toContain('password-of-this-test');

    const env = { NODE_EXTRA_CA_CERTS: certificate };
    runs.worker({ url, env });
    const run = runs.start([...args, '--out', 'tls'], { env });
    expect(await run.ended, run.text()).toBe(1);
    expect(runs.attemptsOf('tls')).toHaveLength(6);
  } finally {
    await runs.stopAll();
    await redis.stop();
  }
});
