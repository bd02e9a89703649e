import type { WhenPoint, WhenResult } from '../../run-files/when-file.js';
import { fisherExact } from '../../statistics/fisher.js';
import { formatDuration, formatPercent } from '../../util/text/format.js';
import { safeLine } from '../../util/text/text-hygiene.js';
import type { WhenFork } from './when-journal.js';

/** Fewer attempts of a run than this give no rate to compare with. */
const FEW_ATTEMPTS = 10;
const UNLIKELY = 0.05;

interface Subject extends Pick<WhenResult, 'points' | 'failure' | 'limited' | 'verdict'> {
  readonly forks: readonly WhenFork[];
  /** The scenario judges forks itself. */
  readonly judged: boolean;
}

/** Returns what limits the answer, as sentences. */
export function notesOn({ points, failure, forks, limited, verdict, judged }: Subject): string[] {
  const [start] = points;
  const first = points.find(({ place, attempts }) => place === 'checkpoint' && attempts > 0);
  const others = new Map<string, number>();
  for (const { outcome, signature, title = signature } of forks)
    if (outcome === 'reproduced' && title !== undefined && signature !== failure.signature)
      others.set(title, (others.get(title) ?? 0) + 1);
  const reasons = new Map<string, number>();
  for (const { outcome, reason = 'no reason was given' } of forks)
    if (outcome === 'inconclusive') reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  return [
    ...(limited ? [`The limit of ${forks.length} forks was reached: more forks may give an answer.`] : []),
    ...(!limited && verdict === 'unconfirmed'
      ? [
          'Forks that were made after the rise was found do not show it: the attempts may be too few, or the rise too slow.',
        ]
      : []),
    ...(start && first ? compare(start, first) : []),
    ...[...others].map(
      ([title, count]) => `${count} of the forks that failed did so in another way: ${safeLine(title)}.`,
    ),
    ...[...reasons].map(([reason, count]) => `${count} of the forks came to no verdict: ${safeLine(reason)}.`),
    ...(judged
      ? []
      : [
          'The scenario has no fromCheckpoint: a fork counts as clean when no detector finds a failure in three times the time that the attempt still needed.',
        ]),
    'What real time decides, or input and random numbers that the guest had before a checkpoint, is the same in all forks of that checkpoint.',
  ];
}

function compare(start: WhenPoint, first: WhenPoint): string[] {
  const time = formatDuration(first.at);
  if (start.attempts < FEW_ATTEMPTS)
    return [
      `The run has ${start.attempts} ${start.attempts === 1 ? 'attempt' : 'attempts'} with a verdict: too few to tell whether forks of the first checkpoint fail as often.`,
    ];
  const { twoSided } = fisherExact(first, start);
  if (twoSided > UNLIKELY) return [];
  return [
    `From the first checkpoint (${time}) ${formatPercent(first.probability ?? 0)} of the forks fail, and ${formatPercent(start.probability ?? 0)} of the attempts of the run: something before ${time} decides, or the guest behaves differently after a restore.`,
  ];
}
