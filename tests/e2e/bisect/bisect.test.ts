import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineScenario, direct } from '@qmpilot/core';
import { bisect, type BisectEvent, type BisectRepositoryOptions, type BisectResult } from '@qmpilot/core/bisect';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GitRepository } from '../../support/git-repository.js';
import { leftovers, leftoversSince } from '../../support/leftovers.js';
import { makeTinyGuest, type TinyGuest } from '../../support/tiny-guest.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BIN = join(ROOT, 'packages/cli/dist/bin.js');
const SCENARIO = join(ROOT, 'tests/support/scenarios/program.repro.ts');

let dir: string;
let guest: TinyGuest;
let repository: GitRepository;
let culprit: string;
let before: string[];

/** A shell function that fails for RATE of 100 seeds. */
const program = (version: number) =>
  `program() { if [ $(($1 % 100)) -lt $RATE ]; then echo "result FAILED"; else echo "result passed"; fi; } # ${version}\n`;
const BUILD = 'cat rate program > "$QMPILOT_OUT/program"';

beforeAll(async () => {
  before = leftovers();
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-bisect-'));
  guest = await makeTinyGuest(dir);
  repository = new GitRepository(join(dir, 'repo'));
  repository.commit('start', { 'rate': 'RATE=0\n', 'program': program(0), 'build.sh': BUILD });
  repository.git('tag', 'v1');
  for (let version = 1; version <= 16; version += 1) {
    if (version === 5) {
      repository.git('checkout', '--quiet', '-b', 'aside');
      repository.commit('documentation', { README: 'text' });
      repository.git('checkout', '--quiet', 'main');
    }
    const rate = version < 11 ? 0 : 50;
    const broken = version === 7 || version === 13;
    // The culprit changes nothing else: it reverts cleanly.
    const changed = version === 11 ? 10 : version;
    const files = { 'rate': `RATE=${rate}\n`, 'program': program(changed), 'build.sh': broken ? 'exit 125' : BUILD };
    const commit = repository.commit(`version ${version}`, files);
    if (version === 11) culprit = commit;
    if (version === 8) repository.git('merge', '--quiet', '--no-ff', '--message', 'merge', 'aside');
  }
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const options = (): BisectRepositoryOptions => ({
  repo: repository.path,
  good: 'v1',
  bad: 'main',
  build: 'sh build.sh',
  cacheDir: join(dir, 'cache'),
  buildAhead: true,
  scenario: ({ dir: build }) =>
    defineScenario({
      name: 'program',
      cache: true,
      guest: direct({
        ...{ name: 'tiny', ...guest, append: 'console=ttyS0 quiet', cpus: 1, memoryMiB: 128 },
        login: { prompt: /tiny# $/ },
      }),
      async prepare(vm) {
        await vm.console.type(readFileSync(join(build, 'program'), 'utf8'));
        await vm.console.expect(/tiny# $/);
      },
      async attempt(vm, { seed, fail, signal }) {
        await vm.console.type(`program ${seed}\n`, { signal });
        const { groups } = await vm.console.expect(/result (FAILED|passed)/, { signal, timeout: '60s' });
        if (groups[0] === 'FAILED') fail('the program failed');
      },
    }),
});

it('finds and confirms the commit of a userland program, interrupted and resumed, with merges and broken builds', async () => {
  const controller = new AbortController();
  const at = join(dir, 'found');
  const seen: BisectEvent[] = [];
  const interrupted = bisect({
    ...options(),
    dir: at,
    signal: controller.signal,
    onEvent: (event) => {
      seen.push(event);
      if (event.type === 'attempts' && event.purpose === 'search') controller.abort();
    },
  });
  await expect(interrupted).rejects.toThrow(expect.objectContaining({ code: 'ABORTED' }));
  const made = readFileSync(join(at, 'steps.jsonl'), 'utf8');

  const result = await bisect({ ...options(), resume: at, onEvent: (event) => void seen.push(event) });
  expect(result).toMatchObject({
    state: 'confirmed',
    culprits: [{ commit: culprit, subject: 'version 11' }],
    signature: 'the program failed',
    commits: 18,
  });
  expect(result.builds).toBeLessThanOrEqual(12);
  expect(seen).toContainEqual({ type: 'building', commit: expect.any(String), ahead: true });
  expect(result.confirmation[0]).toMatchObject({ commit: culprit });
  expect(result.revert).toMatchObject({ failures: 0, isLower: true });
  const written: BisectResult = JSON.parse(readFileSync(join(at, 'result.json'), 'utf8'));
  expect(written).toEqual(result);
  expect(readFileSync(join(at, 'report.md'), 'utf8')).toMatch(
    new RegExp(`^${culprit.slice(0, 12)} introduced the failure: fresh attempts confirm the answer`),
  );
  expect(readFileSync(join(at, 'steps.jsonl'), 'utf8').startsWith(made)).toBe(true);
  const page = readFileSync(join(at, 'report.html'), 'utf8');
  expect(page).toContain(`<h1>${culprit.slice(0, 12)} introduced the failure</h1>`);
  const links = [...page.matchAll(/href="(runs\/[^"]*)"/g)].map(([, path]) => path ?? '');
  expect(links.length).toBeGreaterThan(4);
  for (const link of links) expect(existsSync(join(at, link)), link).toBe(true);

  // All is decided: nothing is built or tried again.
  const again = await bisect({ ...options(), resume: at, build: 'sh build.sh' });
  expect(again).toEqual(result);
  expect(repository.git('worktree', 'list').split('\n')).toHaveLength(1);
  expect(repository.git('status', '--porcelain')).toBe('');
  await expect.poll(() => leftoversSince(before), { timeout: 10_000 }).toEqual([]);
});

it('stops without a failure at the bad end, with ends that are reversed, and at a limit of builds', async () => {
  const clean = await bisect({ ...options(), bad: 'main~8', maxEndAttempts: 6, dir: join(dir, 'clean') });
  expect(clean).toMatchObject({ state: 'indistinct', culprits: [], builds: 2 });
  expect(clean.reason).toMatch(/no failure at either end: 0 of 6 at the bad end, 0 of 6 at the good end/);

  const fixed = repository.git('commit-tree', 'v1^{tree}', '-p', 'main', '-m', 'fix');
  const reversed = await bisect({ ...options(), good: 'main', bad: fixed, dir: join(dir, 'reversed') });
  expect(reversed).toMatchObject({ state: 'reversed', culprits: [], signature: 'the program failed' });
  expect(reversed.reason).toMatch(/^the good end fails more often, the ends may be swapped: 0 of \d+ at the bad end/);

  const limited = await bisect({ ...options(), maxBuilds: 3, dir: join(dir, 'limited') });
  expect(limited).toMatchObject({ state: 'undecided', reason: 'the limit of 3 builds is reached', culprits: [] });
  expect(limited.suspects.map(({ commit }) => commit)).toContain(culprit);
});

/** Runs `qmpilot bisect`; it is killed at once when standard error matches. */
function command(
  args: readonly string[],
  killAt?: RegExp,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const env = {
    ...{ ...process.env, QMPILOT_CACHE: join(dir, 'cache') },
    ...{ TINY_KERNEL: guest.kernel, TINY_INITRD: guest.initrd },
  };
  const child = spawn(process.execPath, [BIN, 'bisect', ...args], { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    if (killAt?.test(stderr)) child.kill('SIGKILL');
  });
  return new Promise((done) => child.once('close', (code) => done({ code, stdout, stderr })));
}

it('the command continues after SIGKILL in a build and between attempts, and prints the report', async () => {
  const range = ['--repo', repository.path, '--good', 'v1', '--bad', 'main', '--build', 'sh build.sh'];
  const first = await command([SCENARIO, ...range, '--out', 'killed'], /^building \w+$/m);
  expect(first.code, first.stderr).toBe(null);
  const second = await command(['--resume', 'killed'], /^end \w+: \d+ of 5 attempts failed$/m);
  expect(second.code, second.stderr).toBe(null);
  const third = await command(['--resume', 'killed'], /^commit \w+: /m);
  expect(third.code, third.stderr).toBe(null);
  const fourth = await command(['--resume', 'killed'], /^building \w+ with \w+ reverted$/m);
  expect(fourth.code, fourth.stderr).toBe(null);
  const { code, stdout, stderr } = await command(['--resume', 'killed']);
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(
    new RegExp(`^${culprit.slice(0, 12)} introduced the failure: fresh attempts confirm the answer`),
  );
  expect(stdout).toMatch(/^- the bad end with the culprit reverted: 0 of \d+ attempts failed/m);
  expect(existsSync(join(dir, 'killed', 'source'))).toBe(false);
  expect(repository.git('worktree', 'list').split('\n')).toHaveLength(1);
  await expect.poll(() => leftoversSince(before), { timeout: 10_000 }).toEqual([]);

  const other = await command(['--resume', 'killed', '--good', 'v1~0', '--bad', 'main~1']);
  expect(other.code).toBe(2);
  expect(other.stderr).toMatch(/cannot resume .*killed: the bad revision is another one/);
});

it('the command begins with the marks of git bisect log, and leaves out what they exclude', async () => {
  const [good, skipped] = ['version 9', 'version 12'].map((subject) =>
    repository.git('log', '--format=%H', '--grep', `^${subject}$`, 'main'),
  ) as [string, string];
  const marks = ['start', 'bad main', 'good v1', `good ${good}`, `skip ${skipped}`];
  writeFileSync(join(dir, 'marks'), marks.map((mark) => `git bisect ${mark}\n`).join(''));
  const known = ['--rate', '50%', '--background', '0', '--no-build-ahead'];
  const range = ['--repo', repository.path, '--replay', 'marks', '--build', 'sh build.sh'];
  const { code, stdout, stderr } = await command([SCENARIO, ...range, ...known, '--out', 'replayed']);
  expect(code, stderr).toBe(0);
  expect(stdout).toContain(
    `- range: ${good.slice(0, 12)}..${repository.git('rev-parse', 'main').slice(0, 12)}, 7 commits`,
  );
  expect(stdout).toContain(`- skipped ${skipped.slice(0, 12)}: it was to be skipped`);
  expect(stdout).toMatch(`${culprit.slice(0, 12)} introduced the failure`);
  expect(stderr).not.toMatch(/ahead/);
});
