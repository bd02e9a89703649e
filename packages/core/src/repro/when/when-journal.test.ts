import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { WhenJournal, type WhenFork } from './when-journal.js';

const FORK: WhenFork = { v: 1, type: 'fork', checkpoint: 2, ordinal: 0, outcome: 'clean', ms: 5, seed: 7 };

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'when-journal-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const open = (source?: string, options: { fresh?: boolean; acceptChanges?: boolean } = {}) =>
  WhenJournal.open(
    dir,
    { v: 1, ...(source !== undefined && { source }) },
    { fresh: false, acceptChanges: false, ...options },
  );
const written = () => readFileSync(join(dir, 'forks.jsonl'), 'utf8');

it('continues after a line that was cut off, and leaves out lines that are no forks', async () => {
  const first = await open('a');
  first.append(FORK);
  first.close();
  appendFileSync(join(dir, 'forks.jsonl'), '{"v":1,"type":"other"}\n{"v":1,"type":"fo');
  const second = await open('a');
  expect(second.forks).toEqual([FORK]);
  second.append({ ...FORK, ordinal: 1 });
  second.close();
  expect(written().split('\n')).toEqual([
    JSON.stringify(FORK),
    '{"v":1,"type":"other"}',
    JSON.stringify({ ...FORK, ordinal: 1 }),
    '',
  ]);
});

it('refuses forks that another scenario judged, unless told, and begins again when told', async () => {
  const first = await open('a');
  first.append(FORK);
  first.close();
  await expect(open('b')).rejects.toMatchObject({ code: 'USAGE' });
  await expect(open()).rejects.toMatchObject({ code: 'USAGE' });
  const accepted = await open('b', { acceptChanges: true });
  expect(accepted.forks).toEqual([FORK]);
  accepted.close();
  const fresh = await open('c', { fresh: true });
  expect(fresh.forks).toEqual([]);
  fresh.close();
  expect(written()).toBe('');
});

it('is written by one process at a time', async () => {
  const first = await open('a');
  await expect(open('a')).rejects.toThrow(/another qmpilot process uses/);
  first.close();
  (await open('a')).close();
});
