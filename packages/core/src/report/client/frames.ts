import type { IBufferCell, Terminal } from '@xterm/headless';
import headless from '@xterm/headless';
import { replaceUnsafe, safeText } from '../../util/text/text-hygiene.js';
import type { Timing } from './timing.js';

/** A piece of a row in one style. Colours: entries of the 256 as numbers, others as `#rrggbb`. */
export interface Run {
  readonly text: string;
  readonly foreground?: number | string | undefined;
  readonly background?: number | string | undefined;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly underline: boolean;
  readonly inverse: boolean;
}

/** A change of the screen. */
export interface Frame {
  readonly at: number;
  readonly rows: ReadonlyMap<number, readonly Run[]>;
  readonly cursor: { readonly row: number; readonly column: number };
}

export interface Replay {
  readonly columns: number;
  readonly rows: number;
  readonly frames: readonly Frame[];
}

export interface ReplayOptions {
  readonly columns: number;
  readonly rows: number;
  /** Bytes sent to the terminal before the first byte of the console. */
  readonly prologue?: Uint8Array | undefined;
  /** The screen before the first byte, as text: where there is no prologue. */
  readonly start?: string | undefined;
  readonly durationMs: number;
}

/** So many frames are enough to scrub through; closer ones are taken together. */
const MAX_FRAMES = 1500;
const LEAST_GAP_MS = 40;

/** Replays the console in a terminal, and records the changes of each frame. */
export async function buildReplay(bytes: Uint8Array, timing: Timing, options: ReplayOptions): Promise<Replay> {
  const { columns, rows } = options;
  const terminal = new headless.Terminal({
    cols: columns,
    rows,
    scrollback: 0,
    allowProposedApi: true,
    logLevel: 'off',
  });
  try {
    const frames: Frame[] = [];
    const known: string[] = [];
    const take = (at: number) => {
      const frame = changes(terminal, at, known);
      if (frame.rows.size > 0 || frames.length === 0 || !sameCursor(frames.at(-1), frame)) frames.push(frame);
    };
    if (options.prologue !== undefined) terminal.write(options.prologue);
    // Line ends only: a screen's text must not wrap again.
    const start =
      options.start === undefined || options.prologue !== undefined
        ? ''
        : `\u001b[?7l\u001b[H${safeText(options.start).replace(/\n+$/, '').replaceAll('\n', '\r\n')}\u001b[?7h`;
    terminal.write(start, () => take(0));
    for (const [from, to, at] of pieces(bytes.length, timing, options.durationMs))
      terminal.write(bytes.subarray(from, to), () => take(at));
    await new Promise<void>((resolve) => terminal.write('', resolve));
    return { columns, rows, frames };
  } finally {
    terminal.dispose();
  }
}

function sameCursor(one: Frame | undefined, other: Frame): boolean {
  return one?.cursor.row === other.cursor.row && one.cursor.column === other.cursor.column;
}

function pieces(length: number, { at, offset }: Timing, durationMs: number): [from: number, to: number, at: number][] {
  const gap = Math.max(LEAST_GAP_MS, durationMs / MAX_FRAMES);
  const result: [number, number, number][] = [];
  for (const [index, from] of offset.entries()) {
    const time = at[index] ?? 0;
    const to = offset[index + 1] ?? length;
    const last = result.at(-1);
    if (last && time - last[2] < gap) last[1] = to;
    else result.push([from, to, time]);
  }
  return result.filter(([from, to]) => to > from);
}

function changes(terminal: Terminal, at: number, known: string[]): Frame {
  const buffer = terminal.buffer.active;
  const rows = new Map<number, readonly Run[]>();
  for (let row = 0; row < terminal.rows; row += 1) {
    const runs = readRow(terminal, row);
    const key = JSON.stringify(runs);
    if (known[row] === key) continue;
    known[row] = key;
    rows.set(row, runs);
  }
  return { at, rows, cursor: { row: buffer.cursorY, column: buffer.cursorX } };
}

function readRow(terminal: Terminal, row: number): Run[] {
  const buffer = terminal.buffer.active;
  const line = buffer.getLine(buffer.viewportY + row);
  const runs: { text: string; style: Omit<Run, 'text'>; key: string }[] = [];
  let cell: IBufferCell | undefined;
  for (let column = 0; line && column < line.length; column += 1) {
    cell = line.getCell(column, cell);
    if (!cell || cell.getWidth() === 0) continue;
    const text = cell.isInvisible() ? ' ' : cell.getChars() || ' ';
    const style = styleOf(cell);
    const key = `${style.foreground}/${style.background}/${style.bold}${style.dim}${style.underline}${style.inverse}`;
    const last = runs.at(-1);
    if (last?.key === key) last.text += text;
    else runs.push({ text, style, key });
  }
  const last = runs.at(-1);
  if (last && last.style.background === undefined && !last.style.inverse) last.text = last.text.trimEnd();
  return runs.filter(({ text }) => text !== '').map(({ text, style }) => ({ text: replaceUnsafe(text), ...style }));
}

function styleOf(cell: IBufferCell): Omit<Run, 'text'> {
  return {
    foreground: cell.isFgDefault() ? undefined : cell.isFgRGB() ? hex(cell.getFgColor()) : cell.getFgColor(),
    background: cell.isBgDefault() ? undefined : cell.isBgRGB() ? hex(cell.getBgColor()) : cell.getBgColor(),
    bold: cell.isBold() !== 0,
    dim: cell.isDim() !== 0,
    underline: cell.isUnderline() !== 0,
    inverse: cell.isInverse() !== 0,
  };
}

const hex = (value: number) => `#${value.toString(16).padStart(6, '0')}`;

/** The size of the terminal as the console's own jumps of the cursor show it, at least 80 x 24. */
export function guessSize(bytes: Uint8Array): { columns: number; rows: number } {
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 1 << 18));
  let [columns, rows] = [80, 24];
  // eslint-disable-next-line no-control-regex
  for (const [, row, column] of text.matchAll(/\u001b\[(\d{1,3})(?:;(\d{1,3}))?[Hf]/g)) {
    rows = Math.max(rows, Number(row));
    columns = Math.max(columns, Number(column ?? 1));
  }
  return { columns: Math.min(columns, 300), rows: Math.min(rows, 120) };
}
