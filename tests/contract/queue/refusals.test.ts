import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openQueue, runWorker } from '@qmpilot/core/queue';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { realmOf, runsName, sessionNames } from '../../../packages/core/src/queue/store/names.js';
import { QueueKey } from '../../../packages/core/src/queue/store/seal.js';
import { ownVersion } from '../../../packages/core/src/repro/run/environment.js';
import { startRedis, type TestRedis } from '../../support/redis.js';

const PASSWORD = 'password-of-this-test';
const KEY = 'a secret of this test';

let dir: string;
let scenario: string;
let redis: TestRedis;
let url: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-queue-refusals-'));
  scenario = join(dir, 'some.repro.js');
  writeFileSync(scenario, 'export default {};\n');
  redis = await startRedis(join(dir, 'redis'), '--requirepass', PASSWORD);
  url = redis.url.replace('redis://', `redis://:${PASSWORD}@`);
});
afterAll(async () => {
  await redis.stop();
  rmSync(dir, { recursive: true, force: true });
});

it('cannot connect where nothing listens', async () => {
  await expect(openQueue({ url: 'redis://127.0.0.1:1', scenario, key: KEY })).rejects.toMatchObject({
    code: 'IO',
    message: 'cannot connect to the queue at redis://127.0.0.1:1: connection refused',
  });
});

it.each([
  ['without the password', () => redis.url],
  ['with a wrong password', () => redis.url.replace('redis://', 'redis://:wrong@')],
])('is refused %s, and does not show it', async (_, urlOf) => {
  const error: unknown = await openQueue({ url: urlOf(), scenario, key: KEY }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'USAGE', message: expect.stringContaining('refused the user or the password') });
  expect(String(error)).not.toContain(':wrong@');
});

it('needs a key', async () => {
  await expect(openQueue({ url, scenario, key: '' })).rejects.toMatchObject({
    code: 'USAGE',
    message: 'no key for the queue',
  });
});

it('a worker refuses a run that is not signed with its key, and loads nothing of it', async () => {
  const realm = realmOf(ownVersion(), new QueueKey(KEY).id);
  const names = sessionNames(realm, 'forged');
  const manifest = Buffer.from(JSON.stringify({ v: 1, session: 'forged', file: 'x.js' }));
  const client = new Redis(url);
  try {
    await client.set(names.manifest, new QueueKey('the secret of somebody else').seal('run', 'forged', manifest));
    await client.zadd(runsName(realm), 1, 'forged');
    const stop = new AbortController();
    const seen: string[] = [];
    await runWorker({
      url,
      key: KEY,
      program: join(dir, 'never-started.js'),
      signal: stop.signal,
      onEvent: (event) => {
        if (event.type !== 'progress') return;
        seen.push(event.message);
        if (event.message.startsWith('refused')) stop.abort();
      },
    });
    expect(seen.at(-1)).toBe('refused the run forged: it is not signed with the key of this worker');
  } finally {
    client.disconnect();
  }
});
