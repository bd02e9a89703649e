import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSnapshot, type AttemptRecord } from '@qmpilot/core';
import type { WhenResult } from '@qmpilot/core/report';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { leftovers, leftoversSince } from '../../support/leftovers.js';
import { makeTinyGuest, type TinyGuest } from '../../support/tiny-guest.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BIN = join(ROOT, 'packages/cli/dist/bin.js');
const COINS = join(ROOT, 'tests/support/scenarios/two-coins.repro.ts');
const QUEUED = join(ROOT, 'tests/support/scenarios/queued.repro.ts');
const RACE = join(ROOT, 'tests/support/scenarios/race.repro.ts');
/** Of 8 attempts with this seed one fails, the fourth. All that the coins show follows from it. */
const SEED = '21';

let dir: string;
let guest: TinyGuest;
let before: ReturnType<typeof leftovers>;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-when-test-'));
  guest = await makeTinyGuest(dir);
  before = leftovers();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command. `killAt` kills it when standard error matches: it cannot put anything away. */
function qmpilot(args: readonly string[], killAt?: RegExp, by: NodeJS.Signals = 'SIGKILL'): Promise<Ended> {
  const env = { ...process.env, TINY_KERNEL: guest.kernel, TINY_INITRD: guest.initrd };
  const child = spawn(process.execPath, [BIN, ...args], { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    if (killAt?.test(stderr)) child.kill(by);
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

const forksIn = (attempt: string) =>
  readFileSync(join(dir, attempt, 'when/forks.jsonl'), 'utf8')
    .split('\n')
    .slice(0, -1);

it('keeps the checkpoints of the failing attempt alone', async () => {
  const args = ['repro', COINS, '--attempts', '8', '--seed', SEED, '--forks', '2', '--checkpoints', 'marks'];
  const { code, stderr } = await qmpilot([...args, '--out', 'run']);
  expect(code, stderr).toBe(1);
  const records = readFileSync(join(dir, 'run/attempts.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line): AttemptRecord => JSON.parse(line));
  expect(records.filter(({ checkpoints }) => checkpoints).map(({ index }) => index)).toEqual([4]);
  const kept = records.find(({ index }) => index === 4)?.checkpoints;
  expect(kept?.list.map(({ number, mark }) => [number, mark])).toEqual([
    [1, 'before the coins'],
    [2, 'after coin 1'],
    [3, 'after coin 2'],
  ]);
  expect(readdirSync(join(dir, 'run/attempts/0004/checkpoints'))).toEqual(['001', '002', '003']);
  expect(readdirSync(join(dir, 'run/attempts/0001'))).not.toContain('checkpoints');
  expect(leftoversSince(before)).toEqual([]);
});

it('finds that the second coin decides, also when it is interrupted and killed', async () => {
  const interrupted = await qmpilot(['when', 'run', '--forks', '2'], /(from .*\n.*){5}/, 'SIGINT');
  expect(interrupted.code, interrupted.stderr).toBe(130);
  const first = forksIn('run/attempts/0004');
  expect(first.length).toBeGreaterThanOrEqual(5);
  const killed = await qmpilot(['when', 'run', '4', '--forks', '2'], /(from .*\n.*){15}/);
  expect(killed.code).toBe(null);
  const second = forksIn('run/attempts/0004');
  expect(second.length).toBeGreaterThanOrEqual(15);
  expect(second.slice(0, first.length)).toEqual(first);

  const { code, stdout, stderr } = await qmpilot(['when', 'run', '--forks', '2', '--json', '--keep', 'kept']);
  expect(code, stderr).toBe(0);
  expect(stderr).toContain(`${second.length} forks were made before`);
  const lines = stdout.trim().split('\n');
  const result: WhenResult = JSON.parse(lines.at(-1) ?? '');
  expect(JSON.parse(readFileSync(join(dir, 'run/attempts/0004/when/when.json'), 'utf8'))).toEqual(result);
  const { verdict, rise, points, forks } = result;
  expect({ verdict, rise }).toEqual({
    verdict: 'confirmed',
    rise: { from: 2, to: 3, checkpoint: 'attempts/0004/checkpoints/002' },
  });
  expect(points.map(({ place, mark }) => mark ?? place)).toEqual([
    'start',
    'before the coins',
    'after coin 1',
    'after coin 2',
    'failure',
  ]);
  expect(points[0]).toMatchObject({ failures: 1, attempts: 8 });
  for (const [index, expected] of [0.25, 0.25, 0.5, 1].entries()) {
    const [low, high] = points[index]?.interval ?? [1, 0];
    expect(low).toBeLessThanOrEqual(expected);
    expect(high).toBeGreaterThanOrEqual(expected);
  }
  expect(points[3]).toMatchObject({ probability: 1 });
  expect(forks).toBe(forksIn('run/attempts/0004').length);
  expect(result.interval?.console.join('\n')).toContain('coin 2 shows 1');
  expect(result.interval?.events.map(({ text }) => text).join('\n')).toMatch(/typed into the console: throw 2 \d+/);
  expect(leftoversSince(before)).toEqual([]);

  // The checkpoint that was kept starts a guest which has thrown the first coin.
  const shown = await qmpilot(['when', 'run', '--quiet']);
  expect(shown.code, shown.stderr).toBe(0);
  expect(shown.stdout).toMatch(/^Between .* and .* the probability rises from \d+ % to 100 %\.\n/);
  expect(shown.stdout).toContain('checkpoint before: attempts/0004/checkpoints/002');
  expect(readdirSync(join(dir, 'kept')).toSorted()).toEqual(['manifest.json', 'ram', 'state']);
  await using kept = await openSnapshot(join(dir, 'kept'));
  await using fork = await kept.fork();
  await fork.console.type('echo "coins: $c1 and $c2."\n');
  await fork.console.expect(/coins: 1 and \./, { timeout: '30s' });
});

it('finds at the end of a run that a race after a warm-up decides, and not the work after it', async () => {
  const run = ['repro', RACE, '--attempts', '30', '--forks', '2', '--checkpoints', 'marks', '--until-reproduced', '3'];
  const { code, stdout, stderr } = await qmpilot([...run, '--when', '--out', 'race']);
  expect(code, stderr).toBe(1);
  expect(stdout).toMatch(/[34] reproduced[^]*the probability rises from \d+ % to 100 %\./);
  const attempt = /^attempt (\d+): an update was lost/m.exec(stdout)?.[1]?.padStart(4, '0');
  const result: WhenResult = JSON.parse(readFileSync(join(dir, `race/attempts/${attempt}/when/when.json`), 'utf8'));
  expect(result, stderr).toMatchObject({ verdict: 'confirmed', rise: { from: 2, to: 3 } });
  const [start, begin, warm, raced] = result.points;
  expect([start, begin, warm, raced].map((point) => point?.mark)).toEqual([undefined, 'begin', 'warm', 'raced']);
  // The second writer starts at any of 240 ms, and comes too early in the first 50 and what the commands take.
  for (const point of [begin, warm]) {
    const [low, high] = point?.interval ?? [1, 0];
    expect(low).toBeLessThan(0.75);
    expect(high).toBeGreaterThan(0.3);
  }
  expect(raced).toMatchObject({ probability: 1 });
  expect(leftoversSince(before)).toEqual([]);
});

it('says what is wrong with a run, an attempt, or a scenario', async () => {
  const cases: [args: string[], message: RegExp][] = [
    [['nowhere'], /nowhere\/run\.json cannot be read/],
    [['run', '1'], /attempt 1 of .* did not fail: it is clean/],
    [['run', '99'], /attempt 99 of .* not found/],
    [['run', 'x'], /must be the number of an attempt/],
    [['run', '--keep', 'kept'], /kept already exists/],
    [['run', '--scenario', join(ROOT, 'tests/support/scenarios/tiny.repro.ts')], /is not the one of this run/],
    [
      ['run', '--scenario', join(ROOT, 'tests/support/scenarios/tiny.repro.ts'), '--accept-changes'],
      /attempt 4 failed by what the scenario itself reports/,
    ],
  ];
  for (const [args, message] of cases) {
    const { code, stderr } = await qmpilot(['when', ...args]);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  }
  const needs = await qmpilot(['repro', COINS, '--when']);
  expect(needs.stderr).toContain('--when needs --checkpoints');
  expect(needs.code).toBe(2);
  // Its failure came before the first checkpoint. The verdict of the run stays.
  const early = ['repro', QUEUED, '--attempts', '8', '--seed', '5', '--checkpoints', '10m', '--when', '--quiet'];
  const without = await qmpilot([...early, '--out', 'early']);
  expect(without.stderr).toContain('no attempt of the run');
  expect(without.code).toBe(1);
  const plain = await qmpilot(['repro', COINS, '--attempts', '1', '--seed', '12', '--out', 'plain', '--quiet']);
  expect(plain.code, plain.stderr).toBe(1);
  const kept = await qmpilot(['when', 'plain']);
  expect(kept.stderr).toMatch(/was made without checkpoints/);
  expect(kept.code).toBe(2);
});
