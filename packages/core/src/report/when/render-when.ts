import type { WhenResult } from '../../run-files/when-file.js';
import { formatDuration } from '../../util/text/format.js';
import { safeLine } from '../../util/text/text-hygiene.js';
import { basisOf, chanceWithBand, measuredPoints, placeOf, whenSentence } from './describe-when.js';

/** Renders a curve as plain text for a terminal. */
export function renderWhen(result: WhenResult): string {
  const { attempt, failure, rise, points, interval, notes, forks } = result;
  const rows = measuredPoints(result).map((point) => ({
    isRise: rise !== undefined && (points[rise.from] === point || points[rise.to] === point),
    cells: [formatDuration(point.at), chanceWithBand(point), placeOf(point), basisOf(point)],
  }));
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map(({ cells }) => cells[column]?.length ?? 0)));
  return [
    whenSentence(result),
    `attempt ${attempt}: ${safeLine(failure.title)}, found after ${formatDuration(failure.at)}; ${forks} forks`,
    '',
    ...rows.map(({ isRise, cells }) =>
      `${isRise ? '>' : ' '} ${cells.map((cell, column) => (column === 0 ? cell.padStart(widths[0] ?? 0) : cell.padEnd(widths[column] ?? 0))).join('  ')}`.trimEnd(),
    ),
    ...(interval && interval.events.length > 0
      ? [
          '',
          'What the attempt did in between:',
          ...interval.events.map(({ at, text }) => `  ${formatDuration(at)}  ${text}`),
        ]
      : []),
    ...(interval && interval.console.length > 0
      ? ['', 'Console in between:', ...interval.console.map((line) => `  ${line}`)]
      : []),
    ...(rise?.checkpoint === undefined ? [] : ['', `checkpoint before: ${rise.checkpoint}`]),
    '',
    ...notes.map((note) => `note: ${note}`),
    '',
  ].join('\n');
}

/** Renders curves as a section of report.md, without its heading; undefined when there are none. */
export function whenMarkdown(results: readonly WhenResult[]): string | undefined {
  if (results.length === 0) return undefined;
  return results.map(oneInMarkdown).join('\n\n');
}

function oneInMarkdown(result: WhenResult): string {
  const { attempt, failure, rise, interval, notes } = result;
  const fence = (lines: readonly string[]) => ['```text', ...lines.map((line) => line.replaceAll('`', "'")), '```'];
  return [
    `Attempt ${attempt} (${cell(failure.title)}): ${whenSentence(result)}`,
    '',
    '| time | probability of the failure | from | seen |',
    '| ---: | --- | --- | --- |',
    ...measuredPoints(result).map(
      (point) =>
        `| ${formatDuration(point.at)} | ${chanceWithBand(point)} | ${cell(placeOf(point))} | ${basisOf(point)} |`,
    ),
    ...(interval && interval.events.length > 0
      ? [
          '',
          'What the attempt did in between:',
          '',
          ...fence(interval.events.map(({ at, text }) => `${formatDuration(at)}  ${text}`)),
        ]
      : []),
    ...(interval && interval.console.length > 0 ? ['', 'Console in between:', '', ...fence(interval.console)] : []),
    ...(rise?.checkpoint === undefined ? [] : ['', `Checkpoint before: \`${rise.checkpoint}\``]),
    '',
    ...notes.map((note) => `- ${cell(note)}`),
  ].join('\n');
}

/** A text of the guest or of a scenario, without meaning in Markdown. */
function cell(text: string): string {
  return safeLine(text).replaceAll(/[\\`*_[\]<>|#]/g, (character) => `\\${character}`);
}
