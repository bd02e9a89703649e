import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { testEnds } from './ends.js';
import type { Range } from './git/range.js';
import { type AttemptsLine, BisectJournal } from './journal.js';
import { ABOUT } from './test-about.js';
import { Tries } from './tries.js';

const END = 'the journal has ended';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-ends-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

/** Tests the ends by series of an earlier session; what it would do then throws. */
async function replay(...series: readonly (readonly ['good' | 'bad', AttemptsLine['attempts']])[]) {
  const path = join(dir, 'bisection');
  (await BisectJournal.create(path, ABOUT)).close();
  const built = new Set<string>();
  for (const [commit, attempts] of series) {
    const line = { type: 'attempts', purpose: 'ends', commit, wanted: attempts.length, attempts };
    const lines = [
      ...(built.has(commit) ? [] : [{ type: 'build', commit, id: `build of ${commit}`, ms: 1 }]),
      { ...line, ms: 1, attemptsMs: 1, cached: true },
    ];
    built.add(commit);
    for (const one of lines) appendFileSync(join(path, 'steps.jsonl'), `${JSON.stringify(one)}\n`);
  }
  const journal = await BisectJournal.reopen(path);
  const scenario = () => {
    throw new Error(END);
  };
  const builds = { directory: () => dir, stop: async () => {} } as never;
  const options = { ...{ repo: '/', good: 'good', bad: 'bad', build: 'make' }, scenario };
  const tries = new Tries({ journal, builds, options, tell: () => {} });
  const range: Range = {
    subjects: async () => new Map(),
    good: 'good',
    bad: 'bad',
    alsoGood: [],
    commits: [],
    skip: [],
  };
  try {
    const test = await testEnds(tries, range, 100).catch((error: unknown) => error);
    return { tries, test, made: journal.position };
  } finally {
    journal.close();
  }
}

it('counts the failure of the bad end, also when the good end failed first, by another one', async () => {
  const { tries, test } = await replay(
    ['bad', times(5, [])],
    ['good', [['other'], [], [], [], []]],
    ['bad', [...times(5, []), ...times(5, ['wanted'])]],
    ['good', times(10, [])],
  );
  expect(tries.signature).toBe('wanted');
  expect(tries.counts).toEqual([
    { commit: 'bad', failures: 5, attempts: 15 },
    { commit: 'good', failures: 0, attempts: 14 },
  ]);
  expect(test).toMatchObject({ message: END });
});

it('finds ends that are swapped by the failure of the good end', async () => {
  const { tries, test } = await replay(['bad', times(5, [])], ['good', times(5, ['wanted'])]);
  expect(tries.signature).toBe('wanted');
  expect(test).toMatchObject({ decision: 'reversed' });
});

it('ends when most attempts come to no verdict', async () => {
  const { test } = await replay(
    ['bad', times(5, ['wanted'])],
    ['good', [[], null, null, null, null]],
    ['good', times(10, null)],
    ['good', times(20, null)],
    ['good', times(40, null)],
  );
  expect(test).toMatchObject({
    code: 'SCENARIO',
    message: 'the good end cannot be tried: only 1 of 75 attempts came to a verdict about the failure',
  });
});
