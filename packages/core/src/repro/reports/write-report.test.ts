import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { attempt } from '../../report/analysis/run.fixture.js';
import type { RunEvent } from '../../run-files/attempt-record.js';
import { reportAtEnd, writeReport } from './write-report.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'qmpilot-write-report-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const attempts = (text: string) => writeFile(join(dir, 'attempts.jsonl'), text);
const one = `${JSON.stringify(attempt(1, 'r'))}\n`;

it('writes a whole page, for its owner only, and leaves nothing else', async () => {
  await attempts(one);
  const path = await writeReport([dir]);
  expect(path).toBe(join(dir, 'report.html'));
  expect(await readFile(path, 'utf8')).toMatch(/^<!doctype html>[^]*<\/html>\n$/);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(dir)).toEqual(['attempts.jsonl', 'report.html']);
});

it('needs a file to write to when there are several runs', async () => {
  await expect(writeReport([dir, `${dir}x`])).rejects.toMatchObject({
    code: 'USAGE',
    hint: expect.stringContaining('--out'),
  });
  await expect(writeReport([])).rejects.toMatchObject({ code: 'USAGE' });
});

it('says where it cannot write', async () => {
  await attempts(one);
  await expect(writeReport([dir], join(dir, 'no/such/folder/r.html'))).rejects.toMatchObject({
    code: 'IO',
    message: expect.stringContaining('no/such/folder'),
  });
});

it('at the end of a run a report that fails is told and fails nothing; without an attempt there is none', async () => {
  const told: RunEvent[] = [];
  await attempts('');
  await reportAtEnd(dir, (event) => told.push(event));
  expect(await readdir(dir)).toEqual(['attempts.jsonl']);
  await attempts(one);
  await mkdir(join(dir, 'report.html'));
  await reportAtEnd(dir, (event) => told.push(event));
  expect((await readdir(dir)).toSorted()).toEqual(['attempts.jsonl', 'report.html']);
  expect(told).toEqual([{ type: 'progress', message: expect.stringContaining('cannot write the report') }]);
});
