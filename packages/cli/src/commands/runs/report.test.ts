import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createProgram } from '../../program.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-report-test-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function makeRun(name: string, outcomes: readonly string[]): string {
  const run = join(dir, name);
  mkdirSync(run);
  const finding = {
    kind: 'hung-task',
    severity: 'error',
    title: 'hung \u001b[31min f',
    signature: 's',
    at: 5,
    evidence: [],
  };
  const lines = outcomes.map((outcome, place) =>
    JSON.stringify({
      v: 1,
      type: 'attempt',
      index: place + 1,
      outcome,
      ms: 10,
      findings: outcome === 'reproduced' ? [finding] : [],
    }),
  );
  writeFileSync(join(run, 'attempts.jsonl'), lines.join('\n'));
  writeFileSync(join(run, 'run.json'), JSON.stringify({ v: 1, name: 'n' }));
  return run;
}

let stderr = '';
async function report(...args: readonly string[]): Promise<string> {
  let stdout = '';
  stderr = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((stdout += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((stderr += String(text)), true));
  try {
    await createProgram('1').parseAsync(['report', ...args], { from: 'user' });
  } finally {
    vi.restoreAllMocks();
  }
  return stdout;
}

const times = (count: number, outcome: string) => Array.from({ length: count }, () => outcome);

it('writes report.html into the run directory, and says the answer', async () => {
  const run = makeRun('a', ['reproduced', 'clean']);
  expect(await report(run)).toMatch(
    /^1 of 2 attempts failed\n(.*\n)+ {5}1 x {2}hung in f\nreport: .*\/a\/report\.html\n$/,
  );
  expect(readFileSync(join(run, 'report.html'), 'utf8')).toMatch(/^<!doctype html>/);
});

it('compares runs: whether the fix is real', async () => {
  const [before, after, file] = [
    makeRun('before', times(8, 'reproduced')),
    makeRun('after', times(20, 'clean')),
    join(dir, 'both.html'),
  ];
  expect(await report(before, after, '--out', file)).toMatch(
    /^The failure is gone\n {2}after: Fisher's exact test, two-sided: p = 3\.2 × 10⁻⁷/,
  );
  expect(readFileSync(file, 'utf8')).toContain('<h1>The failure is gone</h1>');
  const data: unknown = JSON.parse(await report(before, after, '--json'));
  expect(data).toMatchObject({
    v: 1,
    type: 'report',
    runs: [
      { label: 'before', rate: 1 },
      { rate: 0, upperBound: expect.any(Number) },
    ],
    comparisons: [{ verdict: 'lower' }],
  });
});

it('prints a text for a bug tracker, without what a terminal would act on', async () => {
  const text = await report(makeRun('a', ['reproduced']), '--markdown');
  expect(text).toMatch(/^# `hung in f`: the one attempt failed\n/);
  expect(text).not.toContain('\u001b');
});

it("prints JUnit's XML, of one run only", async () => {
  const run = makeRun('a', ['reproduced', 'clean', 'inconclusive']);
  expect(await report(run, '--junit')).toMatch(
    /<testsuite name="n" .*tests="3" failures="1" errors="1"[^]*<testcase name="attempt 1"[^]*hung/,
  );
  await expect(report(run, makeRun('b', ['clean']), '--junit')).rejects.toMatchObject({ code: 'USAGE' });
});

it('opens the page with the program of $BROWSER', async () => {
  const program = join(dir, 'browser');
  writeFileSync(program, `#!/bin/sh\nprintf '%s' "$1" > ${join(dir, 'opened')}\n`, { mode: 0o755 });
  vi.stubEnv('BROWSER', program);
  try {
    const run = makeRun('a', ['clean']);
    await report(run, '--open');
    await expect
      .poll(() => readFileSync(join(dir, 'opened'), { encoding: 'utf8', flag: 'a+' }))
      .toBe(join(run, 'report.html'));
  } finally {
    vi.unstubAllEnvs();
  }
});

it('says that $BROWSER could not be started, and what opened the page instead', async () => {
  writeFileSync(join(dir, 'xdg-open'), `#!/bin/sh\nprintf '%s' "$1" > ${join(dir, 'opened')}\n`, { mode: 0o755 });
  vi.stubEnv('BROWSER', join(dir, 'none'));
  vi.stubEnv('PATH', `${dir}:${process.env['PATH']}`);
  const exitCode = process.exitCode;
  try {
    const run = makeRun('a', ['clean']);
    await report(run, '--open');
    expect(stderr).toBe(
      `qmpilot: cannot start $BROWSER (spawn ${join(dir, 'none')} ENOENT); opened the report with xdg-open instead\n`,
    );
    await expect
      .poll(() => readFileSync(join(dir, 'opened'), { encoding: 'utf8', flag: 'a+' }))
      .toBe(join(run, 'report.html'));
    vi.stubEnv('PATH', join(dir, 'a'));
    await report(run, '--open');
    expect(stderr).toMatch(
      /cannot start \$BROWSER \(.*\); found no program to open the report with; open .*report\.html/,
    );
    expect(process.exitCode).toBe(125);
  } finally {
    process.exitCode = exitCode;
    vi.unstubAllEnvs();
  }
});

it('exits with usage for a folder that is none, and for two answers at once', async () => {
  await expect(report(dir)).rejects.toMatchObject({ code: 'USAGE' });
  await expect(report(makeRun('a', ['clean']), '--json', '--markdown')).rejects.toThrow(/cannot be used with/);
});
