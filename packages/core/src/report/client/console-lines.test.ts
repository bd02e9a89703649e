import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { consoleLines } from './console-lines.js';
import { parseTiming } from './timing.js';

const linesOf = (console: Uint8Array) => consoleLines(console, parseTiming('', console.length, console.length));
const of = (text: string) => linesOf(new TextEncoder().encode(text));

describe('consoleLines', () => {
  it('cuts at line ends and where the cursor jumps, with the time of the first byte', () => {
    expect(of('one\r\ntwo\u001b[4;1Hthree\u001b[m!')).toMatchObject([
      { text: 'one', at: 0 },
      { text: 'two', at: 5 },
      { text: 'three!', at: 8 },
    ]);
  });

  it('folds what is drawn again and again into its last picture', () => {
    const lines = of(
      '[*   ] Job user@0.service/stop running (1s / 2min)\r\n[ *  ] Job user@0.service/stop running (2s / 2min)\r\n[  * ] Job user@0.service/stop running (3s / 2min)\r\nend\r\n',
    );
    expect(lines).toMatchObject([
      { text: '[  * ] Job user@0.service/stop running (3s / 2min)', times: 3 },
      { text: 'end', times: 1 },
    ]);
  });

  it('never folds lines of the kernel', () => expect(of('[    1.0] same\r\n[    2.0] same\r\n')).toHaveLength(2));

  it('spells out what a guest hides', () =>
    expect(of('a\u202eb\u001b]52;c;x\u0007\r\n')).toMatchObject([{ text: 'a\\u202eb' }]));

  it('makes a captured stall of a poweroff readable: the job once, with its last count', () => {
    const lines = linesOf(
      readFileSync(new URL('../../../../../tests/fixtures/console/user-stall.raw', import.meta.url)),
    );
    const stall = lines.filter(({ text }) => /stop job is running for User Manager/.test(text));
    const drawn = stall.reduce((sum, { times }) => sum + times, 0);
    expect(drawn).toBeGreaterThan(300);
    expect(stall.length).toBeLessThan(drawn / 10);
  });
});
