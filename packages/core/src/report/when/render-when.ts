import type { WhenResult } from '../../run-files/when-file.js';
import { formatDuration } from '../../util/text/format.js';
import { safeLine } from '../../util/text/text-hygiene.js';
import { cell, escaped, fence, span } from '../wording/code.js';
import { basisOf, chanceWithBand, measuredPoints, placeOf, whenSentence } from './describe-when.js';

/** Renders a curve as plain text for a terminal. */
export function renderWhen(result: WhenResult): string {
  const { attempt, failure, rise, points, interval, notes, forks } = result;
  const rows = measuredPoints(result).map((point) => ({
    isRise: rise !== undefined && (points[rise.from] === point || points[rise.to] === point),
    cells: [formatDuration(point.at), chanceWithBand(point), placeOf(point), basisOf(point)],
  }));
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map(({ cells }) => cells[column]?.length ?? 0)));
  const row = (cells: readonly string[]) =>
    cells.map((text, column) => (column === 0 ? text.padStart(widths[0] ?? 0) : text.padEnd(widths[column] ?? 0)));
  return [
    whenSentence(result),
    `attempt ${attempt}: ${safeLine(failure.title)}, found after ${formatDuration(failure.at)}; ${forks} forks`,
    '',
    ...rows.map(({ isRise, cells }) => `${isRise ? '>' : ' '} ${row(cells).join('  ')}`.trimEnd()),
    ...listed('What the attempt did in between:', eventLines(result)),
    ...listed('Console in between:', interval?.console ?? []),
    ...(rise?.checkpoint === undefined ? [] : ['', `checkpoint before: ${safeLine(rise.checkpoint)}`]),
    '',
    ...notes.map((note) => `note: ${safeLine(note)}`),
    '',
  ].join('\n');
}

function listed(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${safeLine(line)}`)];
}

function eventLines({ interval }: WhenResult): string[] {
  return (interval?.events ?? []).map(({ at, text }) => `${formatDuration(at)}  ${text}`);
}

/** Renders curves as a section of report.md, without its heading; empty when there are none. */
export function whenMarkdown(results: readonly WhenResult[]): string {
  return results.map(oneInMarkdown).join('\n\n');
}

function oneInMarkdown(result: WhenResult): string {
  const { attempt, failure, rise, interval, notes } = result;
  const events = eventLines(result);
  const console = interval?.console ?? [];
  return [
    `Attempt ${attempt}, ${span(failure.title)}: ${whenSentence(result)}`,
    [
      '| Time | Probability of the failure | From | Seen |',
      '|---:|---|---|---|',
      ...measuredPoints(result).map((point) =>
        [
          '',
          formatDuration(point.at),
          chanceWithBand(point),
          point.mark === undefined ? placeOf(point) : cell(placeOf(point)),
          basisOf(point),
          '',
        ]
          .join(' | ')
          .trim(),
      ),
    ].join('\n'),
    ...(events.length > 0 ? [`What the attempt did in between:\n\n${fence(events.join('\n'))}`] : []),
    ...(console.length > 0 ? [`Console in between:\n\n${fence(console.join('\n'))}`] : []),
    ...(rise?.checkpoint === undefined ? [] : [`Checkpoint before, in the run directory: ${span(rise.checkpoint)}`]),
    notes.map((note) => `- ${escaped(note)}`).join('\n'),
  ].join('\n\n');
}
