import { decorations, escapeMarkup, rowRuns, type RenderOptions, type Run, type ScreenImage } from './image.js';
import { DEFAULT_BACKGROUND } from './palette.js';

/** Size of a cell in user units, for a font of 14. */
const CELL = { width: 8.4, height: 18, baseline: 13.5 };
const MARGIN = 8;

/** A picture of the screen that needs nothing else: every character has its own cell, in any font. */
export function renderSvg(image: ScreenImage, options: RenderOptions = {}): string {
  const width = units(image.columns * CELL.width + 2 * MARGIN);
  const height = units(image.rows.length * CELL.height + 2 * MARGIN);
  const body = image.rows.flatMap((_, row) => rowRuns(image, row, options).flatMap((run) => drawRun(run, row)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">`,
    `<rect width="${width}" height="${height}" fill="${DEFAULT_BACKGROUND}"/>`,
    ...body,
    '</svg>\n',
  ].join('\n');
}

function drawRun(run: Run, row: number): string[] {
  const x = units(MARGIN + run.column * CELL.width);
  const y = MARGIN + row * CELL.height;
  const width = units(run.columns * CELL.width);
  const parts =
    run.background === undefined
      ? []
      : [`<rect x="${x}" y="${units(y)}" width="${width}" height="${CELL.height}" fill="${run.background}"/>`];
  if (run.text.trim() === '' && decorations(run.cell) === '') return parts;
  const attributes = [
    `x="${x}" y="${units(y + CELL.baseline)}" textLength="${width}" lengthAdjust="spacingAndGlyphs" xml:space="preserve" fill="${run.foreground}"`,
    run.cell.bold && 'font-weight="bold"',
    run.cell.italic && 'font-style="italic"',
    run.cell.dim && 'opacity="0.6"',
    decorations(run.cell) !== '' && `text-decoration="${decorations(run.cell)}"`,
  ];
  return [...parts, `<text ${attributes.filter(Boolean).join(' ')}>${escapeMarkup(run.text)}</text>`];
}

function units(value: number): string {
  return String(Math.round(value * 100) / 100);
}
