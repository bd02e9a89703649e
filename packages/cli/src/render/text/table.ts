import stringWidth from 'string-width';
import { truncate } from './truncate.js';

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  /** On a narrow terminal the column may be cut to this many cells. */
  readonly minWidth?: number;
  /** Columns with a number are left out when nothing else helps, the highest number first. */
  readonly hide?: number;
  /** Styles a cell that has its final width. */
  readonly style?: (cell: string, row: Row) => string;
}

const GAP = 2;
const EMPTY: ReadonlySet<string> = new Set(['', '-']);

/**
 * Renders rows under a header, columns two spaces apart. A column in which all cells are empty or `-` is left out.
 * @param width cells of the terminal; undefined for a pipe or file, where nothing is cut
 */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width?: number): string {
  const used = columns.filter(({ value }) => rows.some((row) => !EMPTY.has(value(row))));
  const { shown, widths } = fit(used, rows, width ?? Number.POSITIVE_INFINITY);
  const render = (cells: readonly string[], style: (cell: string, column: number) => string) => {
    const line = cells
      .map((cell, index) => {
        const cut = truncate(cell, widths[index] ?? 0);
        const padded =
          index === cells.length - 1 ? cut : cut.padEnd(cut.length + (widths[index] ?? 0) - stringWidth(cut));
        return style(padded, index);
      })
      .join(' '.repeat(GAP));
    return `${line.trimEnd()}\n`;
  };
  return [
    render(
      shown.map(({ title }) => title),
      (cell) => cell,
    ),
    ...rows.map((row) =>
      render(
        shown.map(({ value }) => value(row)),
        (cell, index) => shown[index]?.style?.(cell, row) ?? cell,
      ),
    ),
  ].join('');
}

interface Layout<Row> {
  readonly shown: readonly Column<Row>[];
  readonly widths: readonly number[];
}

function fit<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width: number): Layout<Row> {
  const widths = columns.map(({ title, value }) =>
    Math.max(stringWidth(title), ...rows.map((row) => stringWidth(value(row)))),
  );
  const excess = () => widths.reduce((sum, one) => sum + one + GAP, -GAP) - width;
  const room = (index: number) => (widths[index] ?? 0) - (columns[index]?.minWidth ?? Number.POSITIVE_INFINITY);
  while (excess() > 0) {
    const widest = widths
      .map((_, index) => index)
      .reduce((best, index) => (room(index) > room(best) ? index : best), 0);
    if (room(widest) <= 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  const most = Math.max(...columns.map(({ hide }) => hide ?? 0));
  if (excess() <= 0 || most === 0) return { shown: columns, widths };
  return fit(
    columns.filter(({ hide }) => hide !== most),
    rows,
    width,
  );
}
