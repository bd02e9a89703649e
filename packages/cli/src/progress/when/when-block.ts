import { formatPercent } from '@qmpilot/core/internal';
import { shortMs } from '../../render/text/durations.js';
import { type BlockSize, clock, line, type Piece } from '../styled-line.js';
import type { WhenPlace, WhenProgress } from './when-state.js';

const BAR_CELLS = 24;
/** Rows above the checkpoints, and the one that stays free. */
const OTHER_ROWS = 3;

/** Renders the live display of a search for the rise: no line wider than the terminal, at most all of its rows but one. */
export function renderWhenBlock(state: WhenProgress, now: number, size: BlockSize): string[] {
  const { forks, atOnce, begun = now, rise } = state;
  const summary: Piece[] = [
    { text: `${forks} ${forks === 1 ? 'fork' : 'forks'}`, style: 'bold' },
    { text: atOnce > 1 ? `, ${atOnce} at a time, ${clock(now - begun)}` : `, ${clock(now - begun)}` },
    {
      text: rise ? `, biggest rise ${shortMs(rise.from)} to ${shortMs(rise.to)}` : '',
    },
  ];
  const places = nearest(state.places, rise, size.rows - OTHER_ROWS);
  const isSide = ({ at }: WhenPlace) => at === rise?.from || at === rise?.to;
  return [
    line([{ text: '─'.repeat(size.columns), style: 'dim' }], size),
    line(summary, size),
    ...places.map((place) => line(placeLine(place, isSide(place)), size)),
  ].slice(0, Math.max(1, size.rows - 1));
}

/** Where there are more checkpoints than rows, those around the rise. */
function nearest(places: readonly WhenPlace[], rise: WhenProgress['rise'], rows: number): readonly WhenPlace[] {
  if (places.length <= rows) return places;
  const first = Math.max(0, places.findIndex(({ at }) => at >= (rise?.from ?? 0)) - Math.floor(rows / 2));
  const start = Math.min(first, places.length - rows);
  return places.slice(start, start + Math.max(0, rows));
}

function placeLine({ at, failures, attempts }: WhenPlace, isSide: boolean): Piece[] {
  const cells = attempts === 0 ? 0 : Math.round((failures / attempts) * BAR_CELLS);
  const chance = attempts === 0 ? '-' : formatPercent(failures / attempts);
  return [
    { text: `${isSide ? '>' : ' '} ${shortMs(at).padStart(8)} `, style: isSide ? 'bold' : undefined },
    { text: '█'.repeat(cells), style: 'red' },
    { text: '░'.repeat(BAR_CELLS - cells), style: 'dim' },
    { text: ` ${chance.padStart(6)}`, style: isSide ? 'bold' : undefined },
    { text: `  ${failures} of ${attempts} failed` },
  ];
}
