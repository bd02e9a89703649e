import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { leftovers, leftoversSince } from '../../support/leftovers.js';
import { makeTinyGuest, type TinyGuest } from '../../support/tiny-guest.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BIN = join(ROOT, 'packages/cli/dist/bin.js');
const TINY = join(ROOT, 'tests/support/scenarios/tiny.repro.ts');
const WAIT = { timeout: 120_000, interval: 200 };

let dir: string;
let guest: TinyGuest;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-live-test-'));
  guest = await makeTinyGuest(dir);
});
afterAll(() => {
  spawnSync('tmux', ['-S', join(dir, 'tmux'), 'kill-server']);
  rmSync(dir, { recursive: true, force: true });
});

const tmux = (...args: readonly string[]) =>
  execFileSync('tmux', ['-S', join(dir, 'tmux'), '-f', '/dev/null', ...args], { encoding: 'utf8' });
const shown = () => tmux('capture-pane', '-p', '-t', 'live').trimEnd();
const env = () => ({ ...process.env, TINY_KERNEL: guest.kernel, TINY_INITRD: guest.initrd });

it('a terminal has one block at its bottom, also after it was resized, and its cursor back after Ctrl-C', async () => {
  const before = leftovers();
  const command = `TINY_KERNEL=${guest.kernel} TINY_INITRD=${guest.initrd} ${process.execPath} ${BIN} repro ${TINY} --attempts 500 --seed 5 --forks 2 --out ${dir}/live; echo "ended with $?"; exec cat`;
  tmux('new-session', '-d', '-s', 'live', '-x', '100', '-y', '30', command);
  tmux('set-option', '-g', 'window-size', 'manual');
  const block = () => shown().match(/[█░]+ \d+ of 500 attempts/g) ?? [];
  await expect
    .poll(shown, WAIT)
    .toMatch(
      /[█░]{24} [1-9]\d* of 500 attempts, about [\d:]+ left\n\d+ reproduced, \d+ clean {3}rate \d+.*%\)\n {2}fork [12] {2}attempt \d+ {2}(?:restoring|running \d+ s)/,
    );
  expect(tmux('display-message', '-p', '-t', 'live', '#{cursor_flag}').trim()).toBe('0');
  for (const [columns, rows] of [
    [60, 12],
    [120, 40],
    [50, 20],
  ] as const) {
    tmux('resize-window', '-t', 'live', '-x', String(columns), '-y', String(rows));
    // One block, none of it wrapped: the rule over it is as wide as the terminal is now.
    await expect
      .poll(
        () => [
          block().length,
          shown()
            .split('\n')
            .filter((line) => line === '─'.repeat(columns - 1)).length,
        ],
        WAIT,
      )
      .toEqual([1, 1]);
  }
  tmux('send-keys', '-t', 'live', 'C-c');
  await expect.poll(shown, WAIT).toMatch(/SIGINT: ending the run[^]*ended with 130$/);
  expect(block()).toEqual([]);
  expect(tmux('display-message', '-p', '-t', 'live', '#{cursor_flag}').trim()).toBe('1');
  await expect.poll(() => leftoversSince(before), { timeout: 10_000 }).toEqual([]);
});

it('a pipe gets plain lines, --json JSON alone on standard output, --quiet nothing but the answer', () => {
  const run = (...args: readonly string[]) =>
    spawnSync(process.execPath, [BIN, 'repro', TINY, '--attempts', '3', '--seed', '5', '--forks', '1', ...args], {
      cwd: dir,
      env: env(),
      encoding: 'utf8',
    });
  const plain = run('--out', 'plain', '--json');
  expect(plain.stderr).not.toContain('\u001b');
  expect(plain.stderr).toMatch(/^attempt 1 of 3\n[^]*^attempt 3 of 3\n[^]*=> (?:clean|reproduced) after/m);
  expect(
    plain.stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { readonly type: string }).type),
  ).toEqual(['attempt', 'attempt', 'attempt', 'summary']);
  const quiet = run('--out', 'quiet', '--quiet', '--github');
  const [first = '', ...annotations] = quiet.stderr.trim().split('\n');
  expect(first).toMatch(/^::stop-commands::/);
  expect(annotations.slice(1).every((line) => /^::(?:error|warning|notice) title=/.test(line))).toBe(true);
  expect(quiet.stdout).toMatch(/^3 attempts: /);
  expect(readFileSync(join(dir, 'quiet', 'junit.xml'), 'utf8')).toContain('tests="3"');
});

it('a shard counts to the attempts of the whole run', () => {
  const { stderr } = spawnSync(
    process.execPath,
    [BIN, 'repro', TINY, '--attempts', '4', '--seed', '5', '--shard', '2/2', '--forks', '1', '--out', 'shard'],
    { cwd: dir, env: env(), encoding: 'utf8' },
  );
  expect(stderr).toContain("shard 2 of 2: 2 of the run's 4 attempts\n");
  expect(stderr.match(/^attempt .*$/gm)).toEqual(['attempt 2 of 4', 'attempt 4 of 4']);
});
