import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WhenResult } from '@qmpilot/core/report';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BIN = join(ROOT, 'packages/cli/dist/bin.js');
const SCENARIO = join(ROOT, 'tests/support/scenarios/npm-ci-moments.repro.ts');

/** Some 100 forks of up to 20 s each. */
describe.runIf(process.env['QMPILOT_TEST_FULL'] === '1')('qmpilot when with the bug of the report', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'qmpilot-when-npm-ci-'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  function qmpilot(...args: readonly string[]): Promise<{ code: number | null; stdout: string }> {
    const child = spawn(process.execPath, [BIN, ...args], { cwd: dir, stdio: ['ignore', 'pipe', 'inherit'] });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout })));
  }

  it('finds between which checkpoints npm ci loses the lock of its ring', async () => {
    // One at a time: beside another fork nearly every `npm ci` hangs.
    const run = ['--checkpoints', '2s', '--attempts', '12', '--until-reproduced', '1', '--forks', '1', '--out', 'run'];
    expect((await qmpilot('repro', SCENARIO, ...run, '--quiet')).code).toBe(1);
    const { code, stdout } = await qmpilot('when', 'run', '--forks', '1', '--json');
    expect(code).toBe(0);
    const result: WhenResult = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
    expect(result.verdict).toBe('confirmed');
    const { points, rise } = result;
    const [before, after] = [points[rise?.from ?? 0], points[rise?.to ?? 0]];
    expect(points.findLast(({ place }) => place === 'checkpoint')).toMatchObject({ probability: 1 });
    expect(after?.interval?.[0]).toBeGreaterThan(before?.probability ?? 1);
  }, 7_200_000);
});
