import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AttemptRecord } from '@qmpilot/core';
import type { RunFile } from '@qmpilot/core/report';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { leftovers, leftoversSince } from '../../support/leftovers.js';
import { makeTinyGuest, type TinyGuest } from '../../support/tiny-guest.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BIN = join(ROOT, 'packages/cli/dist/bin.js');

let dir: string;
let guest: TinyGuest;
let before: string[];
beforeAll(async () => {
  before = leftovers();
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-kept-runs-'));
  guest = await makeTinyGuest(dir);
  cpSync(join(ROOT, 'tests/support/scenarios/tiny.repro.ts'), join(dir, 'tiny.repro.ts'));
  writeFileSync(join(dir, 'beside.ts'), 'export const cache = true;\n');
  const scenario = readFileSync(join(dir, 'tiny.repro.ts'), 'utf8').replace("name: 'tiny',", "name: 'tiny', cache,");
  writeFileSync(join(dir, 'tiny.repro.ts'), `import { cache } from './beside.js';\n${scenario}`);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Ran {
  readonly from: string | undefined;
  readonly attempts: readonly unknown[];
  readonly stderr: string;
}

const environment = (cache = join(dir, 'cache')) => ({
  ...process.env,
  TINY_KERNEL: guest.kernel,
  TINY_INITRD: guest.initrd,
  QMPILOT_CACHE: cache,
});

async function repro(
  name: string,
  { cache, args = [] }: { readonly cache?: string; readonly args?: readonly string[] } = {},
): Promise<Ran> {
  const child = spawn(
    process.execPath,
    [BIN, 'repro', 'tiny.repro.ts', '--attempts', '3', '--seed', '7', '--out', name, ...args],
    { cwd: dir, env: environment(cache), stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0 && code !== 1) throw new Error(stderr);
  const run: RunFile = JSON.parse(readFileSync(join(dir, name, 'run.json'), 'utf8'));
  const records = readFileSync(join(dir, name, 'attempts.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line): AttemptRecord => JSON.parse(line));
  const attempts = records
    .map(({ index, outcome, seed }) => ({ index, outcome, seed }))
    .toSorted((one, other) => one.index - other.index);
  return { from: run.prepared?.from, attempts, stderr };
}

const kept = () => readdirSync(join(dir, 'cache', 'snapshots'));

it('a second run of a scenario begins from the guest that the first one prepared, screen and all, with the same outcomes', async () => {
  const first = await repro('first');
  expect(first).toMatchObject({ from: 'boot' });
  const names = kept();
  expect(names).toEqual([expect.stringMatching(/^tiny-[0-9a-f]{16}$/)]);
  const second = await repro('second');
  expect(second).toMatchObject({ from: 'cache', attempts: first.attempts, stderr: expect.stringContaining('no boot') });
  expect(kept()).toEqual(names);
});

it('two runs that keep the same guest at once both end well, and leave one for the next', async () => {
  rmSync(join(dir, 'cache', 'snapshots'), { recursive: true });
  const both = await Promise.all([repro('one'), repro('other')]);
  expect(both[0].attempts).toEqual(both[1].attempts);
  expect(kept()).toEqual([expect.stringMatching(/^tiny-[0-9a-f]{16}$/)]);
  expect(await repro('next')).toMatchObject({ from: 'cache', attempts: both[0].attempts });
});

it('a cache that is full costs the next run its quick start, and nothing else', async (context) => {
  const cache = join(dir, 'small');
  mkdirSync(cache);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=0700', 'qmpilot-small', cache]).status !== 0)
    context.skip('no tmpfs can be mounted here');
  try {
    const full = await repro('full', { cache });
    expect(full).toMatchObject({
      from: 'boot',
      stderr: expect.stringMatching(/cannot cache the prepared guest.*(room|no space)/is),
    });
    expect(full.attempts).toHaveLength(3);
    expect(readdirSync(join(cache, 'snapshots'))).toEqual([]);
  } finally {
    spawnSync('umount', ['-l', cache]);
  }
});

it('ends with 125 when prepare itself misuses the library: a mistake in the scenario is not a failing commit', async () => {
  const scenario = readFileSync(join(dir, 'tiny.repro.ts'), 'utf8');
  writeFileSync(
    join(dir, 'wrong.repro.ts'),
    scenario.replace('async prepare(vm) {', "async prepare(vm) {\n    await vm.restore('nope');"),
  );
  const args = ['repro', 'wrong.repro.ts', '--attempts', '3', '--out', 'wrong'];
  const { status, stderr } = spawnSync(process.execPath, [BIN, ...args], {
    cwd: dir,
    env: environment(),
    encoding: 'utf8',
  });
  expect(stderr).toMatch(/the prepare of this scenario failed: snapshot "nope" not found/);
  expect(status).toBe(125);
});

it('boots with --fresh, and when the scenario or one of its files has changed', async () => {
  expect(await repro('fresh', { args: ['--fresh'] })).toMatchObject({ from: 'boot' });
  expect(kept()).toHaveLength(1);
  writeFileSync(join(dir, 'beside.ts'), 'export const cache = true; // and more\n');
  expect(await repro('changed')).toMatchObject({ from: 'boot' });
  expect(kept()).toHaveLength(2);
});

it('boots when the cached guest is damaged or does not load, says so, and caches another', async () => {
  const [one = '', other = ''] = kept().map((name) => join(dir, 'cache', 'snapshots', name));
  for (const path of [one, other]) truncateSync(join(path, 'state'), 100);
  const short = await repro('short');
  expect(short).toMatchObject({ from: 'boot', stderr: expect.stringContaining('is incomplete: state') });
  expect(await repro('whole')).toMatchObject({ from: 'cache', attempts: short.attempts });

  for (const path of kept().map((name) => join(dir, 'cache', 'snapshots', name))) {
    // As QEMU might have written it: the manifest knows it.
    const manifest: { files: { name: string; sha256?: string }[] } = JSON.parse(
      readFileSync(join(path, 'manifest.json'), 'utf8'),
    );
    const state = Buffer.alloc(readFileSync(join(path, 'state')).length, 0x5a);
    const files = manifest.files.map((file) =>
      file.name === 'state' ? { ...file, sha256: createHash('sha256').update(state).digest('hex') } : file,
    );
    writeFileSync(join(path, 'state'), state);
    writeFileSync(join(path, 'manifest.json'), JSON.stringify({ ...manifest, files }));
  }
  const garbled = await repro('garbled');
  expect(garbled).toMatchObject({
    from: 'boot',
    attempts: short.attempts,
    stderr: expect.stringContaining('cannot load the cached guest'),
  });
  expect(await repro('again')).toMatchObject({ from: 'cache' });
  await expect.poll(() => leftoversSince(before), { timeout: 10_000 }).toEqual([]);
});
