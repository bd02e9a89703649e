import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { BisectResult } from '@qmpilot/core/bisect';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { GitRepository } from '../../support/git-repository.js';
import { QueuedRuns } from '../../support/queued-runs.js';

let runs: QueuedRuns;
let repository: GitRepository;
let culprit: string;
beforeAll(async () => {
  runs = await QueuedRuns.open();
  repository = new GitRepository(join(runs.dir, 'repo'));
  for (let version = 0; version <= 2; version += 1) {
    const test = version >= 1 ? '[ $(($1 % 2)) -ne 0 ]' : 'true';
    const commit = repository.commit(`version ${version}`, { program: `#!/bin/sh\n# ${version}\n${test}\n` });
    if (version === 1) culprit = commit;
  }
});
afterEach(async () => runs.stopAll());
afterAll(async () => runs?.close());

const bisect = (out: string, build: string, ...more: readonly string[]) =>
  runs.qmpilot(
    ...['bisect', runs.scenario('installed'), '--repo', repository.path, '--good', 'main~2', '--bad', 'main'],
    ...['--build', build, '--install', 'install -m 755 "$QMPILOT_OUT/program" /usr/local/bin/program'],
    ...['--out', out, '--queue', runs.redis.url, ...more],
  );

it('makes the attempts of a bisection on the workers of a queue, each with its build', async () => {
  runs.worker();
  runs.worker();
  const found = bisect('found', 'cp program "$QMPILOT_OUT"', '--rate', '50%', '--background', '0');
  expect(await found.ended, found.text()).toBe(0);
  const result: BisectResult = JSON.parse(readFileSync(join(runs.dir, 'found/result.json'), 'utf8'));
  expect(result).toMatchObject({
    state: 'confirmed',
    culprits: [{ commit: culprit }],
    signature: 'the program failed',
  });
});

it('builds nothing when there is no queue', async () => {
  const { url } = runs.redis;
  const refused = runs.qmpilot(
    ...['bisect', runs.scenario('installed'), '--repo', repository.path, '--good', 'main~2', '--bad', 'main'],
    ...['--build', `touch ${join(runs.dir, 'built')}`, '--out', 'refused', '--queue', url.replace(/\d+$/, '1')],
  );
  expect(await refused.ended, refused.text()).toBe(125);
  expect(refused.text()).toContain('cannot connect to the queue at redis://127.0.0.1:1: connection refused');
  expect(existsSync(join(runs.dir, 'built'))).toBe(false);
});

it('says that a worker does not find the build', async () => {
  const lost = bisect('lost', 'cp program "$QMPILOT_OUT"', '--no-build-ahead');
  const steps = join(runs.dir, 'lost/steps.jsonl');
  const isBuilt = () => existsSync(steps) && readFileSync(steps, 'utf8').includes('"type":"build"');
  await expect.poll(isBuilt, { timeout: 60_000 }).toBe(true);
  // As on a machine that does not share the directory.
  rmSync(join(runs.dir, 'lost/builds'), { recursive: true });
  runs.worker();
  expect(await lost.ended, lost.text()).toBe(2);
  expect(lost.text()).toMatch(/cannot make attempts of this run: cannot find the build \S+ on this machine/);
  expect(lost.text()).toContain('that all machines share at the same path');
});
