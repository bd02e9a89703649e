import { appendFile, chown, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AttemptFiles } from './attempt-files.js';
import type { AttemptRecord } from './attempt-record.js';
import { Journal } from './journal.js';
import { record, RUN } from './run.fixture.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'qmpilot-journal-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('a run directory', () => {
  const made = async () => {
    const journal = await Journal.create(join(dir, 'run'), RUN);
    for (const index of [2, 1, 3]) journal.append(record(index));
    journal.close();
    return join(dir, 'run', 'attempts.jsonl');
  };

  it('takes several changes of run.json at the same time', async () => {
    const journal = await Journal.create(join(dir, 'run'), RUN);
    await Promise.all(Array.from({ length: 20 }, (_, seed) => journal.update({ seed })));
    journal.close();
    expect(JSON.parse(await readFile(join(dir, 'run', 'run.json'), 'utf8'))).toMatchObject({ seed: 19 });
  });

  it('loses half a line, and nothing else, wherever the writing of the last one was cut off', async () => {
    const file = await made();
    const whole = await readFile(file);
    const begin = whole.lastIndexOf('\n', whole.length - 2) + 1;
    for (let length = begin; length < whole.length; length += 1) {
      await writeFile(file, whole.subarray(0, length));
      const journal = await Journal.reopen(join(dir, 'run'));
      const isWhole = length >= whole.length - 1;
      expect(journal.records.map(({ index }) => index)).toEqual(isWhole ? [2, 1, 3] : [2, 1]);
      expect(journal.repaired).toBe(!isWhole && length > begin);
      journal.append(record(4));
      journal.close();
      const lines = (await readFile(file, 'utf8'))
        .trim()
        .split('\n')
        .map((line): AttemptRecord => JSON.parse(line));
      expect(lines.map(({ index }) => index)).toEqual(isWhole ? [2, 1, 3, 4] : [2, 1, 4]);
    }
  });

  it('is refused when it contains links', async () => {
    const victim = join(dir, 'victim');
    for (const name of ['attempts.jsonl', 'run.json.partial', 'attempts']) {
      await rm(join(dir, 'run'), { recursive: true, force: true });
      await mkdir(join(dir, 'run'));
      await writeFile(victim, '');
      await symlink(victim, join(dir, 'run', name));
      const code: unknown = expect.stringMatching(/^(?:USAGE|IO)$/);
      await expect(Journal.create(join(dir, 'run'), RUN)).rejects.toMatchObject({ code });
      expect(await readFile(victim, 'utf8')).toBe('');
    }
    await rm(join(dir, 'run'), { recursive: true });
    await made();
    await writeFile(victim, 'kept');
    await rm(join(dir, 'run', 'attempts.jsonl'));
    await symlink(victim, join(dir, 'run', 'attempts.jsonl'));
    await symlink(victim, join(dir, 'run', 'run.json.partial'));
    await expect(Journal.reopen(join(dir, 'run'))).rejects.toMatchObject({ code: 'IO' });
    expect(await readFile(victim, 'utf8')).toBe('kept');
  });

  it.runIf(process.getuid?.() === 0)('is refused when it belongs to another user', async () => {
    await mkdir(join(dir, 'run'));
    await chown(join(dir, 'run'), 65_534, 65_534);
    await expect(Journal.create(join(dir, 'run'), RUN)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('belongs to another user'),
    });
  });

  it('counts an attempt once although it is there twice', async () => {
    const file = await made();
    await appendFile(file, `${JSON.stringify(record(2, 'reproduced'))}\n`);
    const journal = await Journal.reopen(join(dir, 'run'));
    expect(journal.records.map(({ index, outcome }) => [index, outcome])).toEqual([
      [2, 'clean'],
      [1, 'clean'],
      [3, 'clean'],
    ]);
    journal.close();
  });

  it('names the line that is damaged in the middle, and leaves the file alone', async () => {
    const file = await made();
    const text = (await readFile(file, 'utf8')).replace('{', '[');
    await writeFile(file, text);
    await expect(Journal.reopen(join(dir, 'run'))).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/attempts\.jsonl:1: not a valid attempt record$/),
    });
    expect(await readFile(file, 'utf8')).toBe(text);
  });

  it('is written by one at a time', async () => {
    const journal = await Journal.create(join(dir, 'run'), RUN);
    await expect(Journal.reopen(join(dir, 'run'))).rejects.toMatchObject({
      message: expect.stringContaining('another qmpilot process uses'),
    });
    await expect(Journal.create(join(dir, 'run'), RUN)).rejects.toMatchObject({ code: 'USAGE' });
    journal.close();
    (await Journal.reopen(join(dir, 'run'))).close();
  });

  it.each([
    ['{', 'not JSON'],
    ['{"v":2}', 'is not a run directory: run.json: unsupported version 2'],
    [JSON.stringify({ ...RUN, seed: 'x' }), 'seed is missing or invalid'],
    [JSON.stringify({ ...RUN, shard: { index: 6, count: 5 } }), 'shard is missing or invalid'],
  ])('is refused when run.json is %s', async (text, message) => {
    await made();
    await writeFile(join(dir, 'run', 'run.json'), text);
    await expect(Journal.reopen(join(dir, 'run'))).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(message),
    });
  });

  it('says that there is no run in a folder without one', async () => {
    await expect(Journal.reopen(join(dir, 'none'))).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('is started again where a start was killed at any point before run.json, and nowhere else', async () => {
    const path = join(dir, 'run');
    const left: (() => Promise<unknown>)[] = [
      () => mkdir(path),
      () => writeFile(join(path, 'attempts.jsonl'), ''),
      () => mkdir(join(path, 'attempts')),
      () => writeFile(join(path, 'run.json.partial'), '{"v"'),
    ];
    for (let steps = 1; steps <= left.length; steps += 1) {
      for (const step of left.slice(0, steps)) await step();
      await expect(Journal.reopen(path)).rejects.toMatchObject({
        code: 'USAGE',
        hint: expect.stringContaining('start it again, with --out'),
      });
      (await Journal.create(path, RUN)).close();
      const journal = await Journal.reopen(path);
      expect([journal.run, journal.records]).toEqual([RUN, []]);
      journal.close();
      await rm(path, { recursive: true });
    }
    for (const [name, text] of [
      ['attempts.jsonl', 'x'],
      ['mine.txt', ''],
      ['run.json', '{}'],
    ] as const) {
      await mkdir(path);
      await writeFile(join(path, name), text);
      await expect(Journal.create(path, RUN)).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('is not empty'),
      });
      expect(await readdir(path)).toEqual([name]);
      await rm(path, { recursive: true });
    }
  });

  it('ends an attempt whose evidence cannot be kept by one error, thrown into nobody', async () => {
    const failures: unknown[] = [];
    // On Linux every write to /dev/full fails with ENOSPC.
    await symlink('/dev/full', join(dir, 'events.jsonl'));
    const files = new AttemptFiles(
      dir,
      () => 0,
      (error) => failures.push(error),
    );
    for (let n = 0; n < 3; n += 1) files.event({ type: 'note', text: 'x' });
    expect(failures).toMatchObject([{ code: 'NO_SPACE' }]);
    expect(() => files.close()).toThrow(expect.objectContaining({ code: 'NO_SPACE' }));
  });
});
