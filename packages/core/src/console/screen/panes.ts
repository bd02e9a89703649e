import type { ScreenCell } from './cell.js';
import type { ScreenRegion } from './terminal-view.js';

/** Characters of tmux's border lines (`pane-border-lines` single, double and heavy): tmux draws joints, and no corners. */
const ACROSS = new Set('─━═├┤┬┴┼┣┫┳┻╋╠╣╦╩╬');
const DOWN = new Set('│┃║├┤┬┴┼┣┫┳┻╋╠╣╦╩╬');

export interface PaneLayout {
  /** In tmux's order: from the left and the top. */
  readonly panes: readonly ScreenRegion[];
  /** The lines between them, one cell wide. */
  readonly borders: readonly ScreenRegion[];
  readonly columns: number;
  readonly rows: number;
}

/** Characters by row and column; an empty one is the second half of the wide one before it. */
export type CharacterGrid = readonly (readonly string[])[];

export function characterGrid(rows: readonly (readonly ScreenCell[])[], columns: number): CharacterGrid {
  return rows.map((cells) => {
    const row = Array.from({ length: columns }, () => '');
    for (const cell of cells) row[cell.column] = cell.text;
    return row;
  });
}

/** tmux's status line: one colour, or inverse, from end to end of the last row or the first. */
export function statusRow(rows: readonly (readonly ScreenCell[])[]): 'top' | 'bottom' | undefined {
  const painted = (cells: readonly ScreenCell[] | undefined) =>
    cells !== undefined && cells.length > 0 && cells.every((cell) => cell.background !== undefined || cell.inverse);
  if (painted(rows.at(-1))) return 'bottom';
  return painted(rows[0]) ? 'top' : undefined;
}

/**
 * The panes of a tmux window, by the lines between them: an area is cut where a line goes through all of it. `previous` is
 * what was found before: where something was written over a line since, but half of it is still there, it still holds.
 */
export function findPanes(grid: CharacterGrid, window: ScreenRegion, previous?: PaneLayout): PaneLayout {
  const panes: ScreenRegion[] = [];
  const borders: ScreenRegion[] = [];
  cut(grid, window, panes, borders);
  const found = { panes, borders, columns: grid[0]?.length ?? 0, rows: grid.length };
  const sameSize = previous?.columns === found.columns && previous.rows === found.rows;
  return sameSize &&
    previous.panes.length > panes.length &&
    previous.borders.every((border) => halfStands(grid, border))
    ? previous
    : found;
}

/** What `pane-border-status` writes on the line above a pane, or below it; empty where it writes nothing. */
export function paneTitle(grid: CharacterGrid, pane: ScreenRegion, borders: readonly ScreenRegion[]): string {
  const isBorder = (row: number) =>
    borders.some(
      (border) =>
        border.rows === 1 &&
        border.row === row &&
        border.column <= pane.column &&
        border.column + border.columns >= pane.column + pane.columns,
    );
  const below = borders.some((border) => border.rows === 1 && border.row === grid.length - 1);
  const row = below ? pane.row + pane.rows : pane.row - 1;
  if (!isBorder(row)) return '';
  const cells = grid[row]?.slice(pane.column, pane.column + pane.columns) ?? [];
  return cells
    .map((cell) => (ACROSS.has(cell) ? ' ' : cell))
    .join('')
    .trim();
}

function cut(grid: CharacterGrid, area: ScreenRegion, panes: ScreenRegion[], borders: ScreenRegion[]): void {
  const lines = range(area.rows).filter((index) => isLine(grid, area, index));
  if (lines.length > 0) {
    for (const index of lines) borders.push({ ...area, row: area.row + index, rows: 1 });
    for (const [from, to] of gaps(lines, area.rows))
      cut(grid, { ...area, row: area.row + from, rows: to - from }, panes, borders);
    return;
  }
  const columns = range(area.columns).filter((index) => isColumn(grid, area, index));
  if (columns.length > 0) {
    for (const index of columns) borders.push({ ...area, column: area.column + index, columns: 1 });
    for (const [from, to] of gaps(columns, area.columns))
      cut(grid, { ...area, column: area.column + from, columns: to - from }, panes, borders);
    return;
  }
  panes.push(area);
}

function isLine(grid: CharacterGrid, area: ScreenRegion, index: number): boolean {
  const cells = grid[area.row + index]?.slice(area.column, area.column + area.columns) ?? [];
  const lines = cells.filter((cell) => ACROSS.has(cell)).length;
  const atEdge = index === 0 || index === area.rows - 1;
  if (lines === cells.length) return cells.length >= 2 && !atEdge;
  // With a title on it: tmux leaves two cells of line at both ends.
  const ends = [...cells.slice(0, 2), ...cells.slice(-2)];
  return cells.length >= 8 && ends.every((cell) => ACROSS.has(cell)) && lines * 4 >= cells.length;
}

function isColumn(grid: CharacterGrid, area: ScreenRegion, index: number): boolean {
  if (index === 0 || index === area.columns - 1) return false;
  return range(area.rows).every((row) => DOWN.has(grid[area.row + row]?.[area.column + index] ?? ''));
}

function halfStands(grid: CharacterGrid, border: ScreenRegion): boolean {
  const kind = border.rows === 1 ? ACROSS : DOWN;
  const cells = range(border.rows).flatMap((row) =>
    range(border.columns).map((column) => grid[border.row + row]?.[border.column + column] ?? ''),
  );
  return cells.filter((cell) => kind.has(cell)).length * 2 >= cells.length;
}

/** The stretches between the cuts, without empty ones. */
function gaps(cuts: readonly number[], length: number): [number, number][] {
  const edges = [-1, ...cuts, length];
  return edges
    .slice(1)
    .map((to, index): [number, number] => [(edges[index] ?? -1) + 1, to])
    .filter(([from, to]) => to > from);
}

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}
