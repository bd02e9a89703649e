import type { ScreenCell } from './cell.js';
import { DEFAULT_BACKGROUND, DEFAULT_FOREGROUND, toHex } from './palette.js';

/** Content of a screen at one moment. */
export interface ScreenImage {
  readonly columns: number;
  readonly rows: readonly (readonly ScreenCell[])[];
  readonly cursor?: { readonly row: number; readonly column: number };
}

/** How a screen is drawn. */
export interface RenderOptions {
  /** Shows the cursor; default true. */
  readonly cursor?: boolean;
}

/** Cells side by side that look the same. */
export interface Run {
  readonly column: number;
  readonly columns: number;
  readonly text: string;
  readonly foreground: string;
  readonly background: string | undefined;
  readonly cell: ScreenCell;
}

/** A row as runs; blanks without a look of their own are left out. A character that is not plain ASCII is a run by itself. */
export function rowRuns(image: ScreenImage, row: number, options: RenderOptions): Run[] {
  const cursor = options.cursor === false || image.cursor?.row !== row ? undefined : image.cursor.column;
  const runs: Run[] = [];
  for (const cell of image.rows[row] ?? []) {
    const run = toRun(cell, cursor !== undefined && cursor >= cell.column && cursor < cell.column + cell.width);
    const last = runs.at(-1);
    if (last && canJoin(last, run))
      runs[runs.length - 1] = { ...last, columns: last.columns + run.columns, text: last.text + run.text };
    else runs.push(run);
  }
  return runs.filter(
    (run) =>
      run.text.trim() !== '' ||
      run.background !== undefined ||
      run.cell.underline ||
      run.cell.strikethrough ||
      run.cell.overline,
  );
}

function toRun(cell: ScreenCell, isCursor: boolean): Run {
  const swapped = cell.inverse !== isCursor;
  const [front, back] = [toHex(cell.foreground, DEFAULT_FOREGROUND), toHex(cell.background, DEFAULT_BACKGROUND)];
  return {
    column: cell.column,
    columns: cell.width,
    text: printable(cell.text),
    foreground: swapped ? back : front,
    background: swapped ? front : cell.background === undefined ? undefined : back,
    cell,
  };
}

function canJoin(left: Run, right: Run): boolean {
  const plain = (text: string) => /^[\x20-\x7e]*$/.test(text);
  return (
    plain(left.text) &&
    plain(right.text) &&
    left.foreground === right.foreground &&
    left.background === right.background &&
    look(left.cell) === look(right.cell)
  );
}

function look({ bold, dim, italic, underline, strikethrough, overline }: ScreenCell): string {
  return [bold, dim, italic, underline, strikethrough, overline].map(Number).join('');
}

/** Without what XML forbids, and without marks that turn the direction of writing. */
function printable(text: string): string {
  return text
    .replace(/[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '');
}

export function escapeMarkup(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

export function decorations(cell: ScreenCell): string {
  return [cell.underline && 'underline', cell.overline && 'overline', cell.strikethrough && 'line-through']
    .filter(Boolean)
    .join(' ');
}
