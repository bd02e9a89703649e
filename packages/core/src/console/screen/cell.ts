import type { IBufferCell, IBufferLine } from '@xterm/headless';

/** `undefined`: the terminal's default. A number: entry of the 256-colour palette. A string: `#rrggbb`. */
export type ScreenColor = number | string | undefined;

/** One cell of a screen: its character, colours and attributes. */
export interface ScreenCell {
  /** The character with its combining marks; a space where nothing was written. */
  readonly text: string;
  readonly column: number;
  /** 2 for a wide character, otherwise 1. */
  readonly width: number;
  readonly foreground: ScreenColor;
  readonly background: ScreenColor;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly inverse: boolean;
  readonly strikethrough: boolean;
  readonly overline: boolean;
}

export function readCells(line: IBufferLine): ScreenCell[] {
  const cells: ScreenCell[] = [];
  for (let column = 0; column < line.length; column += 1) {
    const cell = line.getCell(column);
    // Width 0: the second half of the wide character before it.
    if (cell && cell.getWidth() > 0) cells.push(readCell(cell, column));
  }
  return cells;
}

function readCell(cell: IBufferCell, column: number): ScreenCell {
  return {
    text: cell.isInvisible() ? ' ' : cell.getChars() || ' ',
    column,
    width: cell.getWidth(),
    foreground: color(cell.isFgDefault(), cell.isFgRGB(), cell.getFgColor()),
    background: color(cell.isBgDefault(), cell.isBgRGB(), cell.getBgColor()),
    bold: cell.isBold() !== 0,
    dim: cell.isDim() !== 0,
    italic: cell.isItalic() !== 0,
    underline: cell.isUnderline() !== 0,
    inverse: cell.isInverse() !== 0,
    strikethrough: cell.isStrikethrough() !== 0,
    overline: cell.isOverline() !== 0,
  };
}

function color(isDefault: boolean, isRgb: boolean, value: number): ScreenColor {
  if (isDefault) return undefined;
  return isRgb ? `#${value.toString(16).padStart(6, '0')}` : value;
}
