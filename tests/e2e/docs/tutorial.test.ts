import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'qmpilot-tutorial-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function qmpilot(...args: readonly string[]) {
  return spawnSync(process.execPath, [join(ROOT, 'packages/cli/dist/bin.js'), ...args], {
    cwd: folder,
    env: { ...process.env, QMPILOT_BOOT_CACHE: '1' },
    encoding: 'utf8',
  });
}

it('the scenario of the tutorial, run as it says, fails with a job in the spool and not without', () => {
  const scenario = /```ts scenario\n([^]*?)```/.exec(readFileSync(join(ROOT, 'docs/tutorial.md'), 'utf8'))?.[1];
  writeFileSync(join(folder, 'spool.repro.ts'), scenario ?? '');

  // Half of its four attempts: the seed puts a job into the second, and none into the fourth.
  const run = qmpilot(
    'repro',
    'spool.repro.ts',
    '--attempts',
    '4',
    '--seed',
    '7',
    '--shard',
    '2/2',
    '--out',
    'spool-run',
    '--json',
  );
  expect(run.status, run.stderr).toBe(1);
  const lines = run.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly type: string; readonly index?: number; readonly outcome?: string });
  const outcomes = lines.filter(({ type }) => type === 'attempt').map(({ index, outcome }) => `${index} ${outcome}`);
  expect(outcomes.toSorted()).toEqual(['2 reproduced', '4 clean']);

  const markdown = qmpilot('report', 'spool-run', '--markdown');
  expect(markdown.status, markdown.stderr).toBe(0);
  expect(markdown.stdout).toContain('spool.service');
  expect(qmpilot('plan', '--from', 'spool-run').status).toBe(0);
});
