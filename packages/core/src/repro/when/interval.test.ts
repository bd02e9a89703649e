import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { linesBetween, readInterval } from './interval.js';

const LOG = Buffer.from('one\ntwo\nthree\n');
const TIMING = '100 0\n200 4\n300 8\n';

it('takes the lines of a console that came between two times', () => {
  expect(linesBetween(LOG, TIMING, 100, 200)).toEqual(['two']);
  expect(linesBetween(LOG, TIMING, 0, 1000)).toEqual(['one', 'two', 'three']);
  expect(linesBetween(LOG, TIMING, 300, 1000)).toEqual([]);
  expect(linesBetween(LOG, '', 0, 1000)).toEqual([]);
});

it('keeps the beginning and the end of many lines', () => {
  const log = Buffer.from(Array.from({ length: 100 }, (_, index) => `line ${index}\n`).join(''));
  const lines = linesBetween(log, '5 0\n', 0, 10);
  expect(lines).toHaveLength(41);
  expect([lines[0], lines[20], lines[40]]).toEqual(['line 0', '[60 lines]', 'line 99']);
});

it('shows bytes of a hostile guest as text', () => {
  const [line = ''] = linesBetween(Buffer.from('\u001b[2Ja\u009b31mb\u0007\u202ec\r\n'), '5 0\n', 0, 10);
  // eslint-disable-next-line no-control-regex
  expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  expect(line.length).toBeLessThan(60);
});

it('reads the commands that ran between two times, and leaves out what it cannot read', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'interval-'));
  try {
    expect(await readInterval(dir, 0, 100)).toEqual({ console: [], events: [] });
    const events = [
      { at: 50, type: 'exec', command: 'before', exitCode: 0, ms: 10 },
      { at: 350, type: 'exec', command: 'mount /dev/vdb /mnt', exitCode: 0, ms: 200 },
      { at: 160, type: 'qmp', event: 'STOP', data: {} },
      { at: 170, type: 'typed', into: 'console', text: 'ls\n' },
      { at: 180, type: 'note', text: { no: 'text' } },
      { at: 'late', type: 'note', text: 'x' },
      { at: 900, type: 'note', text: 'after' },
    ];
    await writeFile(join(dir, 'events.jsonl'), `${events.map((event) => JSON.stringify(event)).join('\n')}\n{"cut`);
    expect((await readInterval(dir, 100, 200)).events).toEqual([
      { at: 150, text: 'command: mount /dev/vdb /mnt (status 0 after 200 ms)' },
      { at: 170, text: expect.stringMatching(/^typed into the console: ls/) },
      { at: 180, text: 'note: ' },
    ]);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
