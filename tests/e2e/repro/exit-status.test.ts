import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeTinyGuest, type TinyGuest } from '../../support/tiny-guest.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

let dir: string;
let guest: TinyGuest;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-exit-status-'));
  guest = await makeTinyGuest(dir);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it.each([
  ['by fail()', 1, 'fail', { reproduced: 2, clean: 2, threw: 0 }],
  ["by a thrown error with failOn: 'throw'", 1, 'failOn', { reproduced: 2, clean: 2, threw: 0 }],
  ['by a thrown error that is no failure of the scenario', 125, 'throw', { reproduced: 0, clean: 2, threw: 2 }],
  ['in no attempt', 0, 'nothing', { reproduced: 0, clean: 4, threw: 0 }],
])('the exit status of a run that fails %s is %i', (_, status, how, counts) => {
  const { stdout, stderr, ...run } = spawnSync(
    process.execPath,
    [
      join(ROOT, 'packages/cli/dist/bin.js'),
      'repro',
      join(ROOT, 'tests/support/scenarios/fails.repro.ts'),
      ...['--attempts', '4', '--forks', '1', '--out', how, '--json'],
    ],
    {
      cwd: dir,
      env: { ...process.env, TINY_KERNEL: guest.kernel, TINY_INITRD: guest.initrd, HOW: how },
      encoding: 'utf8',
    },
  );
  const summary: unknown = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  expect(summary, stderr).toMatchObject(counts);
  expect(run.status, stderr).toBe(status);
});
