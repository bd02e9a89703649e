import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attempt } from '../../report/analysis/run.fixture.js';
import { readRuns } from './read-run.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'qmpilot-read-run-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function makeRun(name: string, letters: string, description?: object): Promise<string> {
  const run = join(dir, name);
  await mkdir(join(run, 'attempts'), { recursive: true });
  await writeFile(
    join(run, 'attempts.jsonl'),
    [...letters].map((letter, place) => `${JSON.stringify(attempt(place + 1, letter))}\n`).join(''),
  );
  if (description) await writeFile(join(run, 'run.json'), JSON.stringify({ v: 1, name, ...description }));
  return run;
}

async function fill(run: string, index: number, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  const folder = join(run, 'attempts', String(index).padStart(4, '0'));
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
}

describe('readRuns', () => {
  it.each(['{"cut', '[]', ''])('notes a run.json that says nothing: %j', async (text) => {
    const run = await makeRun('a', 'rc');
    await writeFile(join(run, 'run.json'), text);
    expect(await readRuns([run])).toMatchObject([{ notes: ['run.json is damaged: the environment is unknown.'] }]);
  });

  it('reads a run with its evidence; files of the attempt are texts, and only those', async () => {
    const run = await makeRun('a', 'rc', { attempts: 4 });
    await fill(run, 1, {
      'console.log': 'hello',
      'console.timing': '5 0\n',
      'events.jsonl': '{"at":1,"type":"note"}\n{"cut',
      'screen-start.txt': '$ ',
      'sysrq-w.txt': 'w',
      'vmcore': Buffer.from([1, 0, 2]),
      'big.txt': 'x'.repeat(200_000),
    });
    await symlink('/etc', join(run, 'attempts', '0001', 'link'));
    await mkdir(join(run, 'prepare'));
    await writeFile(join(run, 'prepare', 'console.log'), 'booted');
    const [input] = await readRuns([run]);
    expect(Buffer.from(input?.prologue ?? []).toString()).toBe('booted');
    expect(input).toMatchObject({
      label: 'a',
      run: { attempts: 4 },
      attempts: [{ index: 1 }, { index: 2 }],
      notes: [],
    });
    expect(input?.evidence.get(1)).toMatchObject({
      timing: '5 0\n',
      events: [{ at: 1, type: 'note' }],
      screenStart: '$ ',
      files: [{ name: 'big.txt' }, { name: 'sysrq-w.txt', text: 'w' }],
    });
    expect(input?.evidence.get(1)?.files[0]?.text.length).toBeLessThan(70_000);
    expect(input?.evidence.has(2)).toBe(false);
  });

  it('keeps the end of a long console, with its times', async () => {
    const run = await makeRun('a', 'r');
    const [head, tail] = ['h'.repeat(1000), 't'.repeat(1 << 20)];
    await fill(run, 1, {
      'console.log': head + tail,
      'console.timing': '1 0\n2 1000\n3 1500\n',
      'screen-start.txt': 'x',
    });
    const [input] = await readRuns([run]);
    const one = input?.evidence.get(1);
    expect([one?.console.length, one?.consoleDropped, one?.console[0]]).toEqual([1 << 20, 1000, 0x74]);
    expect(one?.timing.trim()).toBe('2 0\n3 500');
    expect(one?.screenStart).toBeUndefined();
  });

  it('reads what is there of a run that was cut off, or is just beginning', async () => {
    const cut = await makeRun('cut', 'r', {});
    await writeFile(join(cut, 'attempts.jsonl'), `${JSON.stringify(attempt(1, 'r'))}\n{"v":1,"type":"att`);
    const fresh = join(dir, 'fresh');
    await mkdir(fresh);
    await writeFile(join(fresh, 'run.json'), '{"v":1,"name":"f","attempts":9}');
    const bare = await makeRun('bare', 'c');
    const runs = await readRuns([cut, fresh, bare]);
    expect(runs.map(({ attempts }) => attempts.length)).toEqual([1, 0, 1]);
    expect(runs.map(({ notes }) => notes.length)).toEqual([1, 0, 1]);
  });

  it('links from the folder of the report, also through folders with odd names', async () => {
    const run = await makeRun('a #1?', 'r');
    expect((await readRuns([run]))[0]?.folder(7)).toBe('attempts/0007/');
    expect((await readRuns([run], { from: dir }))[0]?.folder(7)).toBe('a%20%231%3F/attempts/0007/');
  });

  it('puts shards together and tells folders of the same name apart', async () => {
    const shard = (index: number) => ({ seed: 1, attempts: 4, shard: { index, count: 2 } });
    await mkdir(join(dir, 'x'));
    await mkdir(join(dir, 'y'));
    const merged = await readRuns([
      await makeRun('x/run', 'r', { ...shard(1), name: 's' }),
      await makeRun('y/run', 'rc', { ...shard(2), name: 's' }),
    ]);
    expect(merged).toHaveLength(1);
    expect(merged[0]).toMatchObject({
      attempts: [{ index: 1 }, { index: 2 }],
      shards: [{ label: 'x/run' }, { label: 'y/run' }],
    });
    const apart = await readRuns([join(dir, 'x/run'), await makeRun('z/run', 'c', { name: 'other' })]);
    expect(apart.map(({ label }) => label)).toEqual(['x/run', 'z/run']);
  });

  it('refuses what is not a run directory, and the same one twice', async () => {
    await expect(readRuns([dir])).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('is not a run directory'),
    });
    await expect(readRuns([dir, `${dir}/`])).rejects.toMatchObject({ code: 'USAGE' });
  });
});
