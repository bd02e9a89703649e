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

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-hang-test-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function qmpilot(
  ...args: readonly string[]
): Promise<{ readonly status: number | null; readonly stdout: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'packages/cli/dist/bin.js'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  return { status: await new Promise((resolve) => child.once('close', resolve)), stdout };
}

/** The scenario on one of its guests; the run directory has the guest's name. */
async function repro(guest: string, ...options: readonly string[]) {
  const scenario = join(ROOT, 'examples/npm-ci-hang/npm-ci-hang.repro.ts');
  const { status, stdout } = await qmpilot(
    ...['repro', scenario, '--guest', guest, '--out', join(dir, guest), '--json', '--fresh', ...options],
  );
  const lines = stdout
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  return { status, attempts: lines.slice(0, -1) as AttemptRecord[], summary: lines.at(-1) as RunSummary };
}

const kinds = ({ findings }: AttemptRecord) => findings.map(({ kind }) => kind);

it('reproduces the hang of npm ci, with all that the report shows, where the fix is undone', async () => {
  const before = leftovers();
  const { status, attempts, summary } = await repro('broken', '--attempts', '4', '--until-reproduced', '1');
  expect(status).toBe(1);
  const whole = attempts.find(({ outcome }) => outcome === 'reproduced');
  expect(whole && kinds(whole)).toEqual(expect.arrayContaining(['d-state', 'hung-task', 'poweroff-stall']));
  const titles = whole?.findings.map(({ title }) => title).join('\n');
  expect(titles).toMatch(/^D state: iou-sqp-\d+ .* in io_sq_thread$/m);
  expect(titles).toMatch(/^INFO: task hung in io_sq_thread$/m);
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

  // The root cause: npm ci itself left the lock of its ring locked.
  expect(whole?.explanation?.join('\n')).toMatch(/struct io_ring_ctx\.uring_lock\).*; npm ci \(\d+\) holds it/);

  // All that was found is one failure: its title names the lock and who holds it.
  expect(summary.failures).toEqual([
    {
      signature: 'lock struct io_ring_ctx.uring_lock npm ci',
      title: expect.stringMatching(/^uring_lock (?:left locked|held) by npm ci/),
      attempts: 1,
      symptoms: expect.arrayContaining([
        { signature: 'd-state iou-sqp-N io_sq_thread', title: 'D state: iou-sqp-N in io_sq_thread', attempts: 1 },
        { signature: 'poweroff-stall units user@0.service', title: 'poweroff stalled: user@0.service', attempts: 1 },
      ]),
    },
  ]);

  const file = (name: string) =>
    readFileSync(join(dir, 'broken/attempts', String(whole?.index).padStart(4, '0'), name), 'utf8');
  expect(file('screen-stuck.txt')).toMatch(/while true; do npm ci; done[^]*Every 2\.0s[^]* [RS]l\+ [^]*kill -9/);
  // Its spinner goes on: it sleeps in epoll_pwait, and wakes for a moment now and then. By gdb, the stack of the report.
  expect(file('stacks.txt')).toMatch(
    /^npm ci \(\d+\), state (?:S: .*epoll_wait <- .*sys_epoll_pwait|R: ).*\n {2}in the program: epoll_pwait <- uv__io_poll <- uv_run <- /m,
  );
  expect(file('stacks.txt')).toMatch(/^iou-sqp-\d+ \(\d+\), state D: io_sq_thread/m);
  expect(JSON.parse(file('kill.json'))).toMatchObject([{ outcome: 'no-effect', killPending: true }]);
  expect(file('sysrq-w.txt')).toMatch(/task:npm ci [^]*io_uring_del_tctx_node/);
  expect(file('console.log')).toMatch(/INFO: task iou-sqp-\d+:\d+ blocked for more than \d+ seconds/);
  expect(file('console.log')).toMatch(/INFO: task npm ci:\d+ blocked for more than \d+ seconds/);
  expect(leftoversSince(before)).toEqual([]);
}, 1_800_000);

it('finds nothing where the fix is in, and the comparison of the two runs says so', async () => {
  const { status, attempts, summary } = await repro('fixed', '--attempts', '1');
  expect(attempts.map(({ outcome, findings }) => [outcome, findings])).toEqual([['clean', []]]);
  expect(summary).toMatchObject({ attempts: 1, reproduced: 0, inconclusive: 0 });
  expect(status).toBe(0);

  const { stdout } = await qmpilot('report', join(dir, 'broken'), join(dir, 'fixed'), '--markdown');
  expect(stdout).toMatch(/debian\+io-uring-unlocked-flush/);
  expect(stdout).toMatch(/io_sq_thread/);
}, 1_800_000);

it('the report of that run opens in Chromium without an error or a request, and a hung task leads to the line of the kernel', async () => {
  const { context, close } = await launch();
  try {
    const { page, errors, requests } = await openFile(context, join(dir, 'broken/report.html'));
    await page.locator('#viewer .lanes').waitFor();
    expect(await page.locator('h1').textContent()).toMatch(/^(?:The one attempt failed|1 of \d attempts failed)$/);
    expect(await page.locator('#failures > details').count()).toBe(1);
    expect(await page.locator('#failures').textContent()).toMatch(/uring_lock [^]*INFO: task hung in/);
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
