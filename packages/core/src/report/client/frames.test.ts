import { describe, expect, it } from 'vitest';
import { buildReplay, guessSize, type Replay } from './frames.js';
import { parseTiming } from './timing.js';

const bytes = (text: string) => new TextEncoder().encode(text);

/** The rows as they stand at the end of the frames up to `at`. */
function screenAt({ frames, rows }: Replay, at: number): string[] {
  const shown = Array.from({ length: rows }, () => '');
  for (const frame of frames.filter((one) => one.at <= at))
    for (const [row, runs] of frame.rows) shown[row] = runs.map(({ text }) => text).join('');
  return shown;
}

const replay = (text: string, timing: string, start?: string) => {
  const console = bytes(text);
  return buildReplay(console, parseTiming(timing, console.length, 1000), {
    columns: 20,
    rows: 3,
    start,
    durationMs: 1000,
  });
};

describe('buildReplay', () => {
  it('shows the screen as it stood at each moment', async () => {
    const made = await replay('one\r\n\u001b[2Jtwo\u001b[1;1HX', '100 0\n500 5\n900 12\n');
    expect(screenAt(made, 0)).toEqual(['', '', '']);
    expect(screenAt(made, 100)).toEqual(['one', '', '']);
    expect(screenAt(made, 500)).toEqual(['', 'two', '']);
    expect(screenAt(made, 900)).toEqual(['X', 'two', '']);
    expect(made.frames.at(-1)?.cursor).toEqual({ row: 0, column: 1 });
  });

  it('begins with the screen that the attempt found, without wrapping it', async () => {
    const made = await replay('\u001b[2;1HB', '100 0\n', `${'x'.repeat(30)}\nsecond\n`);
    expect(screenAt(made, 0)).toEqual(['x'.repeat(20), 'second', '']);
    expect(screenAt(made, 100)).toEqual(['x'.repeat(20), 'Becond', '']);
  });

  it('begins with what the terminal had been sent before, colours and modes included', async () => {
    const made = await buildReplay(bytes('B'), parseTiming('100 0\n', 1, 1000), {
      columns: 20,
      rows: 3,
      prologue: bytes('old\r\n\u001b[31m\u001b[?25l'),
      start: 'not this',
      durationMs: 1000,
    });
    expect(screenAt(made, 0)).toEqual(['old', '', '']);
    expect(made.frames.at(-1)?.rows.get(1)).toMatchObject([{ text: 'B', foreground: 1 }]);
  });

  it('keeps colours and styles, and holds marks of text direction in their cells', async () => {
    const made = await replay('\u001b[1;31mred\u001b[0m \u001b[38;2;1;2;3mx\u001b[7my\u202ez', '0 0\n');
    const runs = made.frames.at(-1)?.rows.get(0) ?? [];
    expect(runs).toMatchObject([
      { text: 'red', foreground: 1, bold: true },
      { text: ' ', foreground: undefined },
      { text: 'x', foreground: '#010203', inverse: false },
      { text: expect.stringMatching(/^y/), inverse: true },
    ]);
    expect(JSON.stringify(runs)).not.toContain('\u202e');
  });

  it('is not more frames than can be told apart, and ends with the last picture', async () => {
    const lines = Array.from({ length: 20_000 }, (_, line) => `line ${line}\r\n`);
    const timing = lines
      .map((_, line) => `${Math.floor(line / 20)} ${lines.slice(0, 0).join('').length + line * 8}`)
      .join('\n');
    const made = await replay(lines.join(''), timing);
    expect(made.frames.length).toBeLessThanOrEqual(30);
    expect(screenAt(made, 1000)).toEqual(['line 19998', 'line 19999', '']);
  });
});

it('guessSize sees how far the cursor is sent', () => {
  expect(guessSize(bytes('\u001b[40;1H...\u001b[3;110H\u001b[999;999H'))).toEqual({ columns: 300, rows: 120 });
  expect(guessSize(bytes('\u001b[40;1H \u001b[3;110H'))).toEqual({ columns: 110, rows: 40 });
  expect(guessSize(bytes('plain'))).toEqual({ columns: 80, rows: 24 });
});
