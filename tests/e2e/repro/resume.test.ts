import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AttemptRecord } from '@qmpilot/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { leftovers, leftoversSince } from '../../support/leftovers.js';
import { makeTinyGuest, type TinyGuest } from '../../support/tiny-guest.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BIN = join(ROOT, 'packages/cli/dist/bin.js');
const TINY = join(ROOT, 'tests/support/scenarios/tiny.repro.ts');
const ATTEMPTS = 240;
const KILLS = 20;

let dir: string;
let guest: TinyGuest;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-resume-test-'));
  guest = await makeTinyGuest(dir);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs the command; after `killAt` ms it is killed, and cannot put anything away. */
function qmpilot(
  args: readonly string[],
  killAt?: number,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const env = { ...process.env, TINY_KERNEL: guest.kernel, TINY_INITRD: guest.initrd };
  const child = spawn(process.execPath, [BIN, 'repro', ...args], { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const timer = killAt === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAt);
  return new Promise((resolve) =>
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    }),
  );
}

const attemptsOf = (name: string) =>
  readFileSync(join(dir, name, 'attempts.jsonl'), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line): AttemptRecord => JSON.parse(line));
const essence = (records: readonly AttemptRecord[]) =>
  records
    .map(({ index, outcome, reason, seed, findings }) => ({ index, outcome, reason, seed, findings }))
    .toSorted((one, other) => one.index - other.index);

it(`a run killed ${KILLS} times at random moments and resumed each time ends with the attempts of one that was not, whatever the forks`, async () => {
  const before = leftovers();
  const whole = await qmpilot([
    TINY,
    '--attempts',
    String(ATTEMPTS),
    '--seed',
    '5',
    '--forks',
    '1',
    '--out',
    'whole',
    '--quiet',
  ]);
  expect(whole.stderr).toBe('');
  expect(whole.code).toBe(1);

  let killed = 0;
  let done = 0;
  for (let round = 0; killed < KILLS && round < 3 * KILLS; round += 1) {
    const first = ['--attempts', String(ATTEMPTS), '--seed', '5', '--out', 'killed', TINY];
    const begun = existsSync(join(dir, 'killed', 'run.json'));
    const { code, stderr } = await qmpilot(
      [...(begun ? ['--resume', 'killed'] : first), '--forks', '2'],
      500 + Math.random() * 2500,
    );
    if (code === null) killed += 1;
    else if (!begun || code !== 1) throw new Error(stderr);
    if (code === 1) break;
    if (existsSync(join(dir, 'killed', 'attempts.jsonl'))) {
      const now = attemptsOf('killed').length;
      expect(now).toBeGreaterThanOrEqual(done);
      done = now;
    }
  }
  const last = await qmpilot(['--resume', 'killed', '--forks', '2']);
  expect(last.code, last.stderr).toBe(1);
  expect(attemptsOf('killed')).toHaveLength(ATTEMPTS);
  expect(essence(attemptsOf('killed'))).toEqual(essence(attemptsOf('whole')));
  expect(killed).toBe(KILLS);
  await expect.poll(() => leftoversSince(before), { timeout: 10_000 }).toEqual([]);
});

it('shards of a run make each attempt once, and together those of the whole', async () => {
  for (const shard of ['1/3', '2/3', '3/3']) {
    await qmpilot([TINY, '--attempts', '12', '--seed', '5', '--shard', shard, '--out', `shard-${shard[0]}`, '--quiet']);
  }
  const merged = ['shard-1', 'shard-2', 'shard-3'].flatMap(attemptsOf);
  expect(essence(merged)).toEqual(essence(attemptsOf('whole')).slice(0, 12));
});
