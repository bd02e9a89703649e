import { mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WhenEvent, WhenResult } from '@qmpilot/core/report';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { isRoot } from '../../support/host-tools.js';
import { QueuedRuns, type Running } from '../../support/queued-runs.js';

/** Of 8 attempts with this seed one fails, the fourth. All that the coins show follows from it. */
const SEED = '21';

type Fork = Extract<WhenEvent, { type: 'fork' }>['fork'];

let runs: QueuedRuns;
beforeAll(async () => {
  runs = await QueuedRuns.open();
  const args = ['--attempts', '8', '--seed', SEED, '--checkpoints', 'marks', '--out', 'run', '--forks', '2'];
  const run = runs.qmpilot('repro', runs.scenario('two-coins'), ...args);
  expect(await run.ended, run.text()).toBe(1);
});
afterEach(async () => runs?.stopAll());
afterAll(async () => runs?.close());

const when = (...args: readonly string[]) => runs.qmpilot('when', 'run', '--queue', runs.redis.url, ...args);
const file = (name: string) => readFileSync(join(runs.dir, 'run/attempts/0004/when', name), 'utf8');
const result = (): WhenResult => JSON.parse(file('when.json'));
/** The forks, whichever ended first. */
const forks = () =>
  file('forks.jsonl')
    .split('\n')
    .slice(0, -1)
    .map((line): Fork => JSON.parse(line))
    .map(({ checkpoint, ordinal, seed, outcome }) => `${checkpoint} ${ordinal} ${seed} ${outcome}`);
const shownForks = async (count: number, { text }: Running) =>
  expect
    .poll(() => text().match(/^ {2}from /gm)?.length ?? 0, { timeout: 120_000, interval: 20 })
    .toBeGreaterThanOrEqual(count);

it('finds on several workers what it finds on one machine, also when it is interrupted and a worker killed', async () => {
  const here = runs.qmpilot('when', 'run', '--forks', '2');
  expect(await here.ended, here.text()).toBe(0);
  const [alone, known] = [result(), new Set(forks())];

  const victim = runs.worker();
  const survivor = runs.worker();
  const interrupted = when('--fresh', '--lease', '2s');
  await shownForks(5, interrupted);
  interrupted.child.kill('SIGINT');
  expect(await interrupted.ended, interrupted.text()).toBe(130);
  const before = forks();
  expect(before.length).toBeGreaterThanOrEqual(5);

  const again = when('--lease', '2s');
  await shownForks(before.length + 2, again);
  victim.child.kill('SIGKILL');
  expect(await again.ended, again.text()).toBe(0);
  expect(again.text()).toContain(`${before.length} forks were made before`);
  expect(forks().slice(0, before.length)).toEqual(before);
  expect(new Set(forks()).size).toBe(forks().length);
  const { verdict, rise } = result();
  expect({ verdict, rise }).toEqual({ verdict: alone.verdict, rise: alone.rise });
  // The same forks have the same outcomes; of those under way at the end others may have come first.
  const both = forks().filter((fork) => known.has(fork));
  expect(both.length).toBeGreaterThan(0.9 * Math.min(known.size, forks().length));
  expect(survivor.text()).toMatch(/^fork \d+ of checkpoint [123]: (reproduced|clean) after /m);
  expect(readFileSync(join(runs.dir, 'run/attempts/0004/when/forks/001-001/console.log'), 'utf8')).toContain('coin');
});

it.runIf(isRoot)('says that a worker does not find the run, or not its files', async () => {
  for (const [hidden, message] of [
    [runs.dir, /cannot make attempts of this run: cannot find the run directory \S+\/run on this machine/],
    [join(runs.dir, 'run'), /cannot make attempts of this run: \S+run\/run.json cannot be read/],
  ] as const) {
    runs.worker({ on: ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none "$0" && exec "$@"', hidden] });
    const lost = when('--fresh');
    expect(await lost.ended, lost.text()).toBe(2);
    expect(lost.text()).toMatch(message);
    await runs.stopAll();
  }
});

it('says why a worker cannot open the checkpoints', async () => {
  // One whose QEMU says that it is another version.
  const qemu = join(mkdtempSync(join(runs.dir, 'bin-')), 'qemu-system-x86_64');
  const says = 'echo "QEMU emulator version 8.2.0"; exit';
  writeFileSync(qemu, `#!/bin/sh\n[ "$1" = --version ] && { ${says}; }\nexec qemu-system-x86_64 "$@"\n`, {
    mode: 0o755,
  });
  runs.worker({ env: { QMPILOT_QEMU: qemu } });
  const other = when('--fresh');
  expect(await other.ended, other.text()).toBe(125);
  expect(other.text()).toMatch(
    /the worker on \S+ cannot make attempts of this run: the snapshot at \S+ was saved by QEMU/,
  );
  await runs.stopAll();

  const refused = when('--forks', '2');
  expect(await refused.ended, refused.text()).toBe(2);
  expect(refused.text()).toContain('forks cannot be given for a run with a queue');
  renameSync(join(runs.dir, 'run'), join(runs.dir, 'moved'));
  const missing = when();
  expect(await missing.ended, missing.text()).toBe(2);
  expect(missing.text()).toMatch(/run\/run\.json cannot be read/);
});
