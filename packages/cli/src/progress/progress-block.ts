import { formatPercent } from '@qmpilot/core/internal';
import { wilsonInterval } from '@qmpilot/core/statistics';
import { visible } from '../render/text/visible.js';
import type { ForkState, ProgressState } from './progress-state.js';
import { type BlockSize, clock, line, type Piece } from './styled-line.js';

/** Lines other than those of the forks, and one for the text above. */
const OTHER_LINES = 5;
const BAR_CELLS = 24;

/** Renders the live display: no line wider than the terminal, at most all of its rows but one. */
export function renderBlock(state: ProgressState, now: number, size: BlockSize): string[] {
  const { activity, lastFinding } = state;
  if (activity !== undefined) return [line([{ text: '· ', style: 'cyan' }, { text: visible(activity) }], size)];
  const forks = shownForks(state.forks, Math.max(1, size.rows - OTHER_LINES - 1));
  const lines = [
    line([{ text: '─'.repeat(size.columns), style: 'dim' }], size),
    line(attemptsLine(state, now), size),
    line(rateLine(state), size),
    ...forks.shown.map((fork) => line(forkLine(fork, now), size)),
    ...(forks.hidden > 0 ? [line([{ text: `  and ${forks.hidden} more forks`, style: 'dim' }], size)] : []),
    ...(lastFinding === undefined
      ? []
      : [line([{ text: 'last finding: ', style: 'dim' }, { text: lastFinding }], size)]),
  ];
  return lines.slice(0, Math.max(1, size.rows - 1));
}

function attemptsLine(state: ProgressState, now: number): Piece[] {
  const { records, planned } = state;
  const cells = planned === 0 ? BAR_CELLS : Math.round((records.length / planned) * BAR_CELLS);
  const left = state.timeLeft(now);
  return [
    { text: '█'.repeat(cells), style: 'cyan' },
    { text: '░'.repeat(BAR_CELLS - cells), style: 'dim' },
    { text: ` ${records.length} of ${planned} attempts`, style: 'bold' },
    { text: left === undefined || left <= 0 ? '' : `, about ${clock(left)} left` },
  ];
}

function rateLine({ records }: ProgressState): Piece[] {
  const count = (outcome: string) => records.filter((record) => record.outcome === outcome).length;
  const [reproduced, clean, inconclusive] = [count('reproduced'), count('clean'), count('inconclusive')];
  const interval = wilsonInterval(reproduced, reproduced + clean);
  return [
    { text: `${reproduced} reproduced`, style: reproduced > 0 ? 'red' : 'dim' },
    { text: ', ' },
    { text: `${clean} clean`, style: clean > 0 ? 'green' : 'dim' },
    ...(inconclusive > 0 ? [{ text: ', ' }, { text: `${inconclusive} inconclusive`, style: 'yellow' as const }] : []),
    ...(interval
      ? [
          {
            text: `   rate ${formatPercent(reproduced / (reproduced + clean))} (95 %: ${formatPercent(interval[0])} to ${formatPercent(interval[1])})`,
          },
        ]
      : []),
  ];
}

function forkLine({ fork, index, phase, since, limitMs }: ForkState, now: number): Piece[] {
  const styles = {
    'restoring': 'dim',
    'running': 'cyan',
    'stuck': 'red',
    'failed': 'red',
    'powering off': 'yellow',
  } as const;
  const seconds = `${Math.max(0, Math.floor((now - since) / 1000))} s`;
  const text = {
    'restoring': 'restoring',
    'running': `running ${seconds}`,
    'stuck': `stuck ${seconds}`,
    'failed': `failed ${seconds} ago`,
    'powering off': `powering off ${clock(now - since)}${limitMs === undefined ? '' : ` of ${clock(limitMs)}`}`,
  }[phase];
  return [
    { text: `  fork ${fork}  attempt ${index}  `, style: 'dim' },
    { text, style: styles[phase] },
  ];
}

/** When not all forks fit, those in trouble come first. */
function shownForks(
  forks: readonly ForkState[],
  room: number,
): { readonly shown: readonly ForkState[]; readonly hidden: number } {
  if (forks.length <= room) return { shown: forks, hidden: 0 };
  const weight = ({ phase }: ForkState) => ['stuck', 'failed', 'powering off', 'running', 'restoring'].indexOf(phase);
  const chosen = forks
    .toSorted((one, other) => weight(one) - weight(other) || one.fork - other.fork)
    .slice(0, Math.max(0, room - 1));
  return { shown: chosen.toSorted((one, other) => one.fork - other.fork), hidden: forks.length - chosen.length };
}
