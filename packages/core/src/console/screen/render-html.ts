import { decorations, escapeMarkup, rowRuns, type RenderOptions, type Run, type ScreenImage } from './image.js';
import { DEFAULT_BACKGROUND, DEFAULT_FOREGROUND } from './palette.js';

/** The screen as one `<pre>` element, to put into a page: styles are inline, and nothing in it can run or load. */
export function renderHtml(image: ScreenImage, options: RenderOptions = {}): string {
  const rows = image.rows.map((_, row) => drawRow(rowRuns(image, row, options)));
  const style = `background:${DEFAULT_BACKGROUND};color:${DEFAULT_FOREGROUND};font-family:'DejaVu Sans Mono',Menlo,Consolas,monospace;line-height:1.25;padding:.6em;width:${image.columns}ch;overflow-x:auto;direction:ltr;unicode-bidi:bidi-override`;
  return `<pre class="qmpilot-screen" style="${style}">${rows.join('\n').replace(/\n+$/, '')}\n</pre>\n`;
}

function drawRow(runs: readonly Run[]): string {
  let html = '';
  let column = 0;
  for (const run of runs) {
    html += ' '.repeat(run.column - column) + drawRun(run);
    column = run.column + run.columns;
  }
  return html;
}

function drawRun(run: Run): string {
  const styles = [
    run.foreground !== DEFAULT_FOREGROUND && `color:${run.foreground}`,
    run.background !== undefined && `background:${run.background}`,
    run.cell.bold && 'font-weight:bold',
    run.cell.italic && 'font-style:italic',
    run.cell.dim && 'opacity:.6',
    decorations(run.cell) !== '' && `text-decoration:${decorations(run.cell)}`,
    // A font may draw it wider or narrower than its cells.
    !/^[\x20-\x7e]*$/.test(run.text) && `display:inline-block;width:${run.columns}ch`,
  ].filter(Boolean);
  const text = escapeMarkup(run.text);
  return styles.length === 0 ? text : `<span style="${styles.join(';')}">${text}</span>`;
}
