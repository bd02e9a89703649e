import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BisectJournal, type BuildLine } from './journal.js';
import { ABOUT } from './test-about.js';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-journal-'));
  path = join(dir, 'bisection');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const built = (commit: string): BuildLine => ({ type: 'build', commit, id: `build of ${commit}`, ms: 1 });
const nothing = () => Promise.reject(new Error('the journal has ended'));

it('continues behind the last whole line, whatever was cut off when the process was killed', async () => {
  const first = await BisectJournal.create(path, ABOUT);
  await first.build('bad', async () => built('bad'));
  first.close();
  appendFileSync(join(path, 'steps.jsonl'), '{"type":"build","comm');
  const second = await BisectJournal.reopen(path);
  expect(second.replays).toBe(true);
  expect(await second.build('bad', nothing)).toEqual(built('bad'));
  await second.build('good', async () => built('good'));
  second.close();
  const lines = readFileSync(join(path, 'steps.jsonl'), 'utf8').trim().split('\n');
  expect(lines.map((line): unknown => JSON.parse(line))).toEqual([built('bad'), built('good')]);
});

it('refuses a directory in which another bisection works, one that holds something, and one that is none', async () => {
  const first = await BisectJournal.create(path, ABOUT);
  await expect(BisectJournal.reopen(path)).rejects.toMatchObject({
    code: 'USAGE',
    message: `another process works in ${path}`,
  });
  first.close();
  await expect(BisectJournal.create(path, ABOUT)).rejects.toMatchObject({
    code: 'USAGE',
    message: `the directory ${path} is not empty`,
  });
  await expect(BisectJournal.reopen(dir)).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining('is not the directory of a bisection'),
  });
});

it('refuses a damaged line, and a step that is not the one that follows, and changes neither', async () => {
  const first = await BisectJournal.create(path, ABOUT);
  await first.build('bad', async () => built('bad'));
  first.close();
  const second = await BisectJournal.reopen(path);
  await expect(second.build('good', nothing)).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining('step 1'),
  });
  second.close();
  appendFileSync(join(path, 'steps.jsonl'), '{"type":"build"}\n');
  const text = readFileSync(join(path, 'steps.jsonl'), 'utf8');
  await expect(BisectJournal.reopen(path)).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining('is damaged'),
  });
  expect(readFileSync(join(path, 'steps.jsonl'), 'utf8')).toBe(text);
});
