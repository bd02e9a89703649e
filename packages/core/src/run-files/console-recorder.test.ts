import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AttemptFiles } from './attempt-files.js';
import { ConsoleRecorder } from './console-recorder.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'qmpilot-journal-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('the console of an attempt', () => {
  it('is recorded with timestamps; of a flood, the beginning and the end are kept', async () => {
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

  it('reports in the events of the attempt which bytes of the console are missing', async () => {
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
