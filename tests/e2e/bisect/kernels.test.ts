import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BisectResult } from '@qmpilot/core/bisect';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findKernels, type Kernels } from '../../../packages/core/src/bisect/kernels/open-kernels.js';
import { leftovers, leftoversSince } from '../../support/leftovers.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BIN = join(ROOT, 'packages/cli/dist/bin.js');
const SCENARIO = join(ROOT, 'tests/support/scenarios/kernel-release.repro.ts');
const PATTERN = 'linux-image-6.1.0-*-cloud-amd64';

let dir: string;
let kernels: Kernels;
let before: string[];
beforeAll(async () => {
  before = leftovers();
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-bisect-kernels-'));
  kernels = await findKernels({ kernels: PATTERN });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function command(args: readonly string[], env: NodeJS.ProcessEnv, killAt?: RegExp) {
  const child = spawn(process.execPath, [BIN, 'bisect', ...args], {
    ...{ cwd: dir, env: { ...process.env, ...env } },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    if (killAt?.test(stderr)) child.kill('SIGKILL');
  });
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((done) =>
    child.once('close', (code) => done({ code, stdout, stderr })),
  );
}

it('finds the first kernel package with a failure, interrupted and resumed', async () => {
  const [good, culprit, bad] = kernels.packages.slice(-3).map(({ id }) => id) as [string, string, string];
  const env = { FAILS_FROM: culprit };
  const range = ['--kernels', PATTERN, '--good', good, '--rate', '100%', '--background', '0'];
  const first = await command([SCENARIO, ...range, '--out', 'kernels'], env, /^end linux-image-\S+: \d+ of/m);
  expect(first.code, first.stderr).toBe(null);
  const { code, stdout, stderr } = await command(['--resume', 'kernels'], env);
  expect(code, stderr).toBe(0);
  const { version } = kernels.packages.find(({ id }) => id === culprit) ?? { version: '' };
  expect(stdout).toMatch(`${culprit} introduced the failure: fresh attempts confirm the answer.`);
  expect(stdout).toMatch(`- ${culprit} ("${version}")`);
  expect(stdout).toMatch(`- range: ${good}..${bad}, 2 kernels`);
  expect(stdout).toMatch(`- fresh attempts on the one before it, ${good}: 0 of`);
  expect(stdout).not.toMatch(/commit|revert/);
  const result: BisectResult = JSON.parse(readFileSync(join(dir, 'kernels/result.json'), 'utf8'));
  expect(result).toMatchObject({ state: 'confirmed', builds: 3, signature: 'this kernel is too new', skipped: [] });
  const page = readFileSync(join(dir, 'kernels/report.html'), 'utf8');
  for (const { id } of kernels.packages.slice(-3)) expect(page).toContain(`<code>${id}</code>`);
  expect(existsSync(join(dir, 'kernels/bisect.log'))).toBe(false);
  await expect.poll(() => leftoversSince(before), { timeout: 10_000 }).toEqual([]);
});

it.each([
  [
    'a pattern without a match',
    ['--kernels', 'linux-image-0.*'],
    /no kernel of Debian bookworm matches linux-image-0\.\*/,
  ],
  ['what is no kernel', ['--kernels', 'bash'], /kernels: "bash" does not name kernel packages of Debian/],
  ['a build command', ['--kernels', PATTERN, '--build', 'make'], /--kernels cannot be combined with --build/],
  [
    'a release without kernels',
    ['--suite', 'trixie', '--good', 'v1', '--build', 'make'],
    /--suite is the release that --kernels/,
  ],
])('refuses %s', async (_, args, message) => {
  const { code, stderr } = await command([SCENARIO, ...args, '--out', 'refused'], {});
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
  expect(existsSync(join(dir, 'refused'))).toBe(false);
});
