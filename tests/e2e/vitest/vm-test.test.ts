import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheRoot } from '@qmpilot/core/internal';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PROJECT = join(ROOT, 'tests/fixtures/vitest-project');
const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-vitest-test-'));
  // Images are the user's; what is kept here goes with the test.
  for (const name of ['cache', 'tmp']) mkdirSync(join(dir, name));
  for (const name of ['images', 'accelerator.json']) symlinkSync(join(cacheRoot(), name), join(dir, 'cache', name));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Processes that have a file of this test in their command line, and folders of controllers. */
function leftovers(): string[] {
  const processes = readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(join(dir, 'tmp'));
    } catch {
      return false;
    }
  });
  return [...processes, ...readdirSync(join(dir, 'tmp')).filter((name) => name.startsWith('qmpilot-'))];
}

interface Result {
  readonly code: number | null;
  readonly output: string;
}

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
      readonly meta: { readonly qmpilot?: { readonly artifacts: string } };
    }[];
  }[];
}

/** Runs files of the fixture project in a Vitest of their own. */
function vitest(args: readonly string[], onOutput?: (output: string, interrupt: () => void) => void): Promise<Result> {
  const { VITEST: _inside, VITEST_WORKER_ID: _id, VITEST_POOL_ID: _pool, ...env } = process.env;
  const child = spawn(process.execPath, [VITEST, 'run', '--root', '.', '--no-color', ...args], {
    cwd: PROJECT,
    env: {
      ...env,
      TMPDIR: join(dir, 'tmp'),
      QMPILOT_RAM_DIR: join(dir, 'tmp'),
      QMPILOT_CACHE: join(dir, 'cache'),
      FIXTURE_CACHE: 'state-1',
      FIXTURE_ARTIFACTS: join(dir, 'artifacts'),
      FIXTURE_ATTACHMENTS: join(dir, 'attachments'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      onOutput?.(output, () => void child.kill('SIGINT'));
    });
  }
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })));
}

describe('a project that uses @qmpilot/core/vitest', () => {
  let run: Result;
  let report: Report;
  beforeAll(async () => {
    run = await vitest([
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${join(dir, 'report.json')}`,
      'pass',
      'fail',
      'no-boot',
    ]);
    report = JSON.parse(readFileSync(join(dir, 'report.json'), 'utf8'));
  });
  const tests = (file: string) => report.testResults.find(({ name }) => name.endsWith(file))?.assertionResults ?? [];
  const test = (title: string) => {
    const found = tests('/fail.test.ts').find((one) => one.title === title);
    if (!found) throw new Error(`no test ${title} in\n${run.output}`);
    return found;
  };
  const message = (title: string) => test(title).failureMessages.join('\n');
  const artifact = (title: string, name: string) => readFileSync(join(test(title).meta.qmpilot?.artifacts ?? '', name));

  it('boots its guest once for all files of the worker, and leaves no QEMU and no file of it', () => {
    expect(run.output.match(/progress: booted in/g)).toHaveLength(1);
    expect(leftovers()).toEqual([]);
  });

  it('has a VM of its own in each test, also in tests that run at the same time', () => {
    expect(tests('/pass.test.ts').map(({ title, status }) => `${title}: ${status}`)).toEqual(
      [
        'test 1 has the prepared state and a vm of its own',
        'test 2 has the prepared state and a vm of its own',
        'test 3 has the prepared state and a vm of its own',
        'gets further vms from the guest',
        'sees findings, and forgets them with a restore',
        'powers off',
      ].map((title) => `${title}: passed`),
    );
  });

  it('learns once and plainly that a guest did not start', () => {
    expect(
      run.output.match(/the guest nothing did not start, so no test of it was run: .*\/nonexistent\/vmlinuz/g),
    ).toHaveLength(1);
    expect(tests('/no-boot.test.ts').map(({ status }) => status)).not.toContain('passed');
  });

  it('fails with what the screen showed instead', () => {
    expect(message('shows the wrong "text" / ../here')).toMatch(
      /expected the screen to show "what is not there": timed out after [^]*\n\|what is there +\|\n/,
    );
    expect(message('does not show the prompt')).toMatch(
      /expected the screen not to show "root@": timed out after [^]*\n\|.*root@/,
    );
  });

  it('fails with the title of the kernel report and its lines', () => {
    expect(message('the kernel is fine')).toMatch(
      /there is 1:\n +error: BUG: unable to handle kernel NULL pointer dereference\n.*address: 0000000000000010/,
    );
  });

  it('fails with what a poweroff waits for, before the limit of the test', () => {
    expect(message('powers off with a service that does not stop')).toMatch(
      /expected the VM to power off cleanly, and it did not: stalled\n[^]*waits for stop stubborn\.service [^]*the console, at the end:\n[^]*stubborn/,
    );
  });

  it('reports a wait that timed out at its place in the test, what was there instead, and what to do', () => {
    expect(message('waits for a unit that failed')).toMatch(
      /the unit broken\.service failed: exit-code, status 3; last line of its log: no such thing\n[^]*fail\.test\.ts:\d+/,
    );
    expect(run.output).toContain('qmpilot: the last lines of its log are in error.evidence.log');
  });

  it('gets the evidence of each failed test in a folder of its own, and among Vitest’s attachments', () => {
    const failed = tests('/fail.test.ts').filter(({ status }) => status === 'failed');
    expect(failed).toHaveLength(6);
    const retried = test('passes when it is tried again');
    expect(retried.status).toBe('passed');
    const folders = [...failed, retried].map(({ meta }) => meta.qmpilot?.artifacts ?? 'none');
    expect(new Set(folders).size).toBe(7);
    for (const folder of folders) {
      expect(folder).toMatch(/\/artifacts\/fail\.test\.ts\/[\w.-]+$/);
      expect(readdirSync(folder).sort()).toEqual([
        'about.json',
        'commands.log',
        'console.log',
        'events.jsonl',
        'findings.json',
        'screen.svg',
        'screen.txt',
        'screenshot.png',
      ]);
      expect(run.output).toContain(`qmpilot: the evidence of this failure is in ${folder}`);
    }
    expect(artifact('shows the wrong "text" / ../here', 'console.log').toString()).toContain('what is there');
    expect(artifact('the kernel is fine', 'screen.svg').toString()).toMatch(/^<svg[^]*NULL[^]*<\/svg>\s*$/);
    expect(JSON.parse(artifact('the kernel is fine', 'findings.json').toString())).toMatchObject([
      { kind: 'null-deref' },
    ]);
    expect(JSON.parse(artifact('goes over its time', 'about.json').toString())).toMatchObject({
      test: 'goes over its time',
      errors: [expect.stringContaining('timed out')],
      guest: { name: 'debian+io-uring-unlocked-flush' },
    });
    expect(artifact('goes over its time', 'screenshot.png').subarray(1, 4).toString()).toBe('PNG');
    expect(readdirSync(join(dir, 'attachments'))).toHaveLength(7 * 8);
  });

  it('has no evidence of a test that was skipped, or failed as it should', () => {
    expect(test('is skipped on the way')).toMatchObject({ status: 'skipped', meta: {} });
    expect(test('fails as it should')).toMatchObject({ status: 'passed', meta: {} });
    expect(readdirSync(join(dir, 'artifacts/fail.test.ts'))).toHaveLength(7);
  });

  it('starts without booting from what an earlier run kept, and leaves no QEMU when it is interrupted', async () => {
    let alive: string[] | undefined;
    const { code, output } = await vitest(['interrupted'], (text, interrupt) => {
      if (alive || !/running under \d+ in \d+/.test(text)) return;
      alive = leftovers();
      interrupt();
    });
    const [, worker, qemu] = /running under (\d+) in (\d+)/.exec(output) ?? [];
    expect(output).not.toContain('progress: booted in');
    expect(code).not.toBe(0);
    expect(alive).toContain(qemu);
    await expect
      .poll(() => [...leftovers(), ...[worker, qemu].filter((pid) => existsSync(`/proc/${pid}`))], { timeout: 20_000 })
      .toEqual([]);
  });
});
