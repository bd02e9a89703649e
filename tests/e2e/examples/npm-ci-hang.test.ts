import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AttemptRecord, PoweroffStallFinding, RunSummary } from '@qmpilot/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { launch, openFile } from '../../support/chromium.js';
import { leftovers, leftoversSince } from '../../support/leftovers.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
/** Attempts 1 and 2 leak within the first second or two, 3 and 4 five times as late as an attempt ends: whatever load does to the host. */
const SEED = '690067';

let dir: string;
beforeAll(() => {
  dir = join(mkdtempSync(join(tmpdir(), 'qmpilot-hang-test-')), 'run');
});
afterAll(() => rmSync(join(dir, '..'), { recursive: true, force: true }));

it('the main job: catches the hang of npm ci with its three findings, and sees clean attempts too', async () => {
  const before = leftovers();
  const args = [
    join(ROOT, 'packages/cli/dist/bin.js'),
    'repro',
    join(ROOT, 'examples/npm-ci-hang/npm-ci-hang.repro.ts'),
  ];
  const child = spawn(
    process.execPath,
    [...args, '--attempts', '4', '--seed', SEED, '--out', dir, '--json', '--fresh'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(1);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  const attempts = lines.slice(0, -1) as AttemptRecord[];
  expect(lines.at(-1) as RunSummary).toMatchObject({ attempts: 4, inconclusive: 0 });

  expect(attempts.map(({ outcome }) => outcome)).toEqual(expect.arrayContaining(['reproduced', 'clean']));
  const whole = attempts.find(({ findings }) =>
    ['d-state', 'hung-task', 'poweroff-stall'].every((kind) => findings.some((finding) => finding.kind === kind)),
  );
  const stall = whole?.findings.find(
    (finding): finding is PoweroffStallFinding & { times: number } => finding.kind === 'poweroff-stall',
  );
  expect(stall).toMatchObject({
    phase: 'units',
    unit: 'user@0.service',
    description: 'User Manager for UID 0',
    slice: 'user-0.slice',
    cgroup: '/user.slice/user-0.slice/user@0.service',
    elapsed: expect.any(Number),
    limit: 120_000,
    shutdownEvent: false,
  });

  const file = (name: string) =>
    readFileSync(join(dir, 'attempts', String(whole?.index).padStart(4, '0'), name), 'utf8');
  expect(JSON.parse(file('kill.json'))).toMatchObject([{ outcome: expect.stringMatching(/no-effect|zombie-leader/) }]);
  expect(file('sysrq-w.txt')).toMatch(/io_sq_thread|io_uring/);
  expect(file('screen-stuck.txt')).toMatch(/while true; do npm ci; done[^]*Every 2\.0s[^]*kill -9/);
  expect(file('console.log')).toMatch(/blocked for more than \d+ seconds/);
  expect(leftoversSince(before)).toEqual([]);
}, 900_000);

it('the report of that run opens in Chromium without an error or a request, and a hung task leads to the line of the kernel', async () => {
  const { context, close } = await launch();
  try {
    const { page, errors, requests } = await openFile(context, join(dir, 'report.html'));
    await page.locator('#viewer .lanes').waitFor();
    expect(await page.locator('h1').textContent()).toMatch(/^\d of 4 attempts fails?$/);
    expect(await page.locator('#failures').textContent()).toMatch(/INFO: task hung in/);
    await page.locator('.lanes circle.error', { hasText: 'INFO: task hung' }).last().click({ force: true });
    expect(await page.locator('.lines .chosen').textContent()).toMatch(
      /INFO: task .* blocked for more than \d+ seconds/,
    );
    expect(await page.locator('#environment').textContent()).toMatch(/Guest kernel6\.1\..*AcceleratorTCG|KVM/);
    expect([errors, requests]).toEqual([[], []]);
  } finally {
    await close();
  }
});
