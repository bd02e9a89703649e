import { appendFile, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toJUnit } from '../../report/junit.js';
import { AttemptFiles } from '../../run-files/attempt-files.js';
import type { AttemptRecord } from '../../run-files/attempt-record.js';
import { ConsoleRecorder } from '../../run-files/console-recorder.js';
import { Journal } from '../../run-files/journal.js';
import type { RunFile } from '../../run-files/run-file.js';
import { chooseForks } from './fork-count.js';
import { pendingIndices } from './plan.js';
import { StopRule } from './stop-rule.js';

const RUN: RunFile = {
  v: 1,
  name: 'x',
  startedAt: '2026-01-01T00:00:00.000Z',
  seed: 1,
  attempts: 9,
  timeoutMs: 1,
  sessions: [],
};
const record = (
  index: number,
  outcome: AttemptRecord['outcome'] = 'clean',
  more: Partial<AttemptRecord> = {},
): AttemptRecord => ({
  v: 1,
  type: 'attempt',
  index,
  outcome,
  startedAt: '',
  ms: 1,
  restoreMs: 1,
  seed: 1,
  findings: [],
  ...more,
});

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

  it('is not one that holds links, through which files elsewhere would be written', async () => {
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

  it.runIf(process.getuid?.() === 0)('is not one that another user has put there', async () => {
    await mkdir(join(dir, 'run'));
    await chown(join(dir, 'run'), 65_534, 65_534);
    await expect(Journal.create(join(dir, 'run'), RUN)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining("another user's"),
    });
  });

  it('counts an attempt once although it stands there twice', async () => {
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
      message: expect.stringContaining('another qmpilot works in'),
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
        hint: expect.stringContaining('begin it again, with --out'),
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

describe('the console of an attempt', () => {
  it('is kept with its times, and of a flood the beginning and the end', async () => {
    let [now, cuts] = [0, 0];
    const recorder = new ConsoleRecorder(
      dir,
      () => now,
      () => void (cuts += 1),
      { log: 10, end: 4, lines: 3 },
    );
    for (const [at, text] of [
      [0, 'ab'],
      [4, 'c'],
      [20, 'def'],
      [40, 'gh'],
      [60, 'ij'],
      [80, 'klmnop'],
      [81, 'qr'],
    ] as const) {
      now = at;
      recorder.write(Buffer.from(text));
    }
    recorder.close();
    expect(await readFile(join(dir, 'console.log'), 'utf8')).toBe('abcdefghij');
    expect(await readFile(join(dir, 'console.timing'), 'utf8')).toBe('0 0\n20 3\n40 6\n');
    expect(await readFile(join(dir, 'console-end.log'), 'utf8')).toBe('opqr');
    expect([cuts, recorder.dropped]).toEqual([1, 8]);
  });

  it('that is not whole says so among the events of its attempt, with what is missing', async () => {
    const files = new AttemptFiles(dir, () => 5);
    for (let mebibytes = 0; mebibytes < 66; mebibytes += 1) files.console.write(Buffer.alloc(1 << 20, 'x'));
    files.close();
    const events = (await readFile(join(dir, 'events.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    expect(events).toEqual([
      { at: 5, type: 'console-cut', offset: 64 << 20 },
      { at: 5, type: 'console-cut', offset: 64 << 20, dropped: 2 << 20 },
    ]);
    expect((await stat(join(dir, 'console.log'))).size).toBe(64 << 20);
  });
});

describe('what is left to do', () => {
  it('is what has no line, in order', () => {
    expect(pendingIndices({ attempts: 5 }, [record(4), record(2)])).toEqual([1, 3, 5]);
  });

  it.each([1, 2, 3, 7])('is split into %i shards without gap and without overlap', (count) => {
    const parts = Array.from({ length: count }, (_, index) =>
      pendingIndices({ attempts: 20, shard: { index: index + 1, count } }, []),
    );
    expect(parts.flat().toSorted((one, other) => one - other)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
    expect(pendingIndices({ attempts: 20, shard: { index: count, count } }, [])[0]).toBe(count);
  });
});

describe('when enough was seen', () => {
  const indices = Array.from({ length: 1000 }, (_, index) => index + 1);

  it('is decided in the order of the indices, whichever attempt ended first', () => {
    const rule = new StopRule({ until: 'rate<0.01@95%' }, indices);
    rule.push(record(2, 'reproduced'));
    expect(rule.reached).toBeUndefined();
    rule.push(record(1, 'inconclusive'));
    expect(rule.reached).toBe('rate<0.01@95% is refuted');
  });

  it('takes as many clean attempts as the test says, inconclusive ones left out', () => {
    const rule = new StopRule({ until: 'rate<0.01@95%' }, indices);
    let n = 0;
    while (rule.reached === undefined) rule.push(record((n += 1), n % 10 === 0 ? 'inconclusive' : 'clean'));
    expect([n - Math.floor(n / 10), rule.verdict]).toEqual([329, { goal: 'rate<0.01@95%', decision: 'holds' }]);
  });
});

describe('the number of forks', () => {
  it.each([
    [undefined, { cpus: 2, memoryMiB: 1024 }, 100, { cpus: 8, memoryMiB: 100_000 }, 4, '8 cores, 2 for each guest'],
    [undefined, { cpus: 2, memoryMiB: 1024 }, 100, { cpus: 8, memoryMiB: 2600 }, 2, '2600 MiB are free'],
    [undefined, { cpus: 4, memoryMiB: 1024 }, 100, { cpus: 2, memoryMiB: 100 }, 1, '2 cores'],
    [undefined, { cpus: 1, memoryMiB: 64 }, 3, { cpus: 8, memoryMiB: 100_000 }, 3, 'no more attempts'],
    [6, { cpus: 2, memoryMiB: 1024 }, 100, { cpus: 2, memoryMiB: 100 }, 6, 'as asked for'],
    [6, { cpus: 2, memoryMiB: 1024 }, 2, { cpus: 2, memoryMiB: 100 }, 2, '6 asked for'],
  ])('asked %s, guest %j, %i attempts, host %j: %i, because %s', (asked, guest, todo, host, forks, reason) => {
    const chosen = chooseForks(asked, guest, todo, host);
    expect(chosen.forks).toBe(forks);
    expect(chosen.reason).toContain(reason);
  });
});

describe('toJUnit', () => {
  it('orders by index, tells failures from errors, and lets no guest text be markup or be unreadable for a parser', () => {
    const finding = {
      kind: 'bug',
      severity: 'error' as const,
      title: ']]></failure>\u001b[31m"\ud800',
      signature: '',
      at: 5,
      evidence: ['\0 <script> & \u202e'],
      times: 2,
    };
    const xml = toJUnit(RUN, [
      record(2, 'inconclusive', { reason: 'QEMU died\nhere' }),
      record(1, 'reproduced', { findings: [finding] }),
    ]);
    expect(xml.indexOf('attempt 1')).toBeLessThan(xml.indexOf('attempt 2'));
    expect(xml).toContain('tests="2" failures="1" errors="1"');
    expect(xml).toContain('message="]]&gt;&lt;/failure&gt;\\x1b[31m&quot;\\xd800"');
    expect(xml).toContain('\\x00 &lt;script&gt; &amp; \\x202e');
    expect(xml).toContain('message="QEMU died&#10;here"');
  });
});
