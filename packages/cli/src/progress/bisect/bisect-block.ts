import { formatPercent, nounOf, shortName } from '@qmpilot/core/internal';
import { visible } from '../../render/text/visible.js';
import { renderBlock } from '../progress-block.js';
import { type BlockSize, clock, line, type Piece } from '../styled-line.js';
import type { BisectProgress, SearchState } from './bisect-state.js';

const BAR_CELLS = 24;
const PURPOSES = {
  ends: 'trying the end',
  search: 'trying',
  confirmation: 'confirming',
  revert: 'trying with the culprit reverted',
} as const;
/** Rows for the attempts and builds under way. */
const OTHER_ROWS = 6;

/** Renders the live display of a bisection: no line wider than the terminal, at most all of its rows but one. */
export function renderBisectBlock(state: BisectProgress, now: number, size: BlockSize): string[] {
  const { search, ends, series } = state;
  const likeliest = (search?.likeliest ?? []).slice(0, Math.max(1, size.rows - OTHER_ROWS - 3));
  const lines = [
    line([{ text: '─'.repeat(size.columns), style: 'dim' }], size),
    ...(search ? searchLines(state, search, size) : [line(endsLine(ends), size)]),
    ...likeliest.map((one) => line(suspectLine(one), size)),
    ...state.building.map(({ commit, since, line: output }) =>
      line(
        [
          { text: `building ${shortName(commit)} ${clock(now - since)}`, style: 'cyan' },
          { text: `  ${visible(output)}`, style: 'dim' },
        ],
        size,
      ),
    ),
    ...(series
      ? [line([{ text: `${PURPOSES[series.purpose]} ${shortName(series.commit)}`, style: 'cyan' }], size)]
      : []),
  ];
  // Without its own line at the top.
  const run = series ? renderBlock(series.run, now, size).slice(series.run.activity === undefined ? 1 : 0) : [];
  return [...lines, ...run].slice(0, Math.max(1, size.rows - 1));
}

function searchLines(state: BisectProgress, search: SearchState, size: BlockSize): string[] {
  const { suspects, commits, entropy, builds, ms, likeliest } = search;
  const cells = Math.round(state.known * BAR_CELLS);
  const left = state.timeLeft;
  const noun = nounOf(likeliest[0]?.commit ?? '');
  return [
    line(
      [
        { text: '█'.repeat(cells), style: 'cyan' },
        { text: '░'.repeat(BAR_CELLS - cells), style: 'dim' },
        { text: ` ${suspects} of ${commits} ${noun}s left`, style: 'bold' },
        { text: `, ${entropy.toFixed(1)} bits` },
      ],
      size,
    ),
    line(
      [
        { text: `${builds} ${builds === 1 ? 'build' : 'builds'}, ${clock(ms)}` },
        { text: left === undefined ? '' : `, about ${clock(left)} until one ${noun} is left` },
      ],
      size,
    ),
  ];
}

function endsLine(ends: BisectProgress['ends']): Piece[] {
  const counted = ends.map(
    ({ failures, attempts }, index) => `${index === 0 ? 'bad' : 'good'} ${failures} of ${attempts}`,
  );
  return [
    { text: 'Do the ends differ? ', style: 'bold' },
    { text: counted.length === 0 ? 'no attempts yet' : `failed: ${counted.join(', ')}` },
  ];
}

function suspectLine({ commit, subject, probability }: SearchState['likeliest'][number]): Piece[] {
  return [
    { text: formatPercent(probability).padStart(8), style: probability >= 0.5 ? 'bold' : 'dim' },
    { text: ` ${shortName(commit)} ` },
    { text: visible(subject) },
  ];
}
