import type { Count } from '../../statistics/count.js';
import { wilsonInterval } from '../../statistics/wilson.js';
import { formatDuration, formatPercent } from '../../util/text/format.js';
import { safeLine } from '../../util/text/text-hygiene.js';
import type { BisectResult, BisectRevert } from '../result.js';

/** Describes a bisection in Markdown, for a mailing list or an issue. */
export function renderReport(result: BisectResult): string {
  const { culprits, suspects, confirmation, ends, skipped, rates } = result;
  const named = ({ commit, subject }: { readonly commit: string; readonly subject: string }) =>
    `${commit.slice(0, 12)} ("${safeLine(subject)}")`;
  const [culprit] = culprits;
  const { short, reason } = headline(result);
  const lines = [
    `${short}: ${reason}.`,
    '',
    ...(culprits.length > 1 ? ['No attempt tells these commits apart:', ''] : []),
    ...culprits.map((one) => `- ${named(one)}`),
    ...(culprit ? [''] : []),
    ...(result.state !== 'undecided'
      ? []
      : [
          'Commits that hold the culprit with a probability of 95 % in the model:',
          '',
          ...suspects.map((one) => `- ${formatPercent(one.probability)}: ${named(one)}`),
          '',
        ]),
    `- range: ${result.good.slice(0, 12)}..${result.bad.slice(0, 12)}, ${result.commits} commits`,
    ...(result.signature === undefined ? [] : [`- failure: ${safeLine(result.signature)}`]),
    `- bad end: ${counted(ends.bad)}`,
    `- good end: ${counted(ends.good)}`,
    ...(culprit
      ? [`- estimated rate: ${formatPercent(rates.before)} before, ${formatPercent(rates.after)} from it on`]
      : []),
    ...confirmation.map(
      (one, index) =>
        `- fresh attempts on ${index === 0 ? '' : 'its parent '}${one.commit.slice(0, 12)}: ${counted(one)}`,
    ),
    ...(result.revert ? [`- ${revertSentence(result.revert)}`] : []),
    `- ${result.builds} builds, ${result.attempts} attempts, ${formatDuration(result.ms)}`,
    ...skipped.map(({ commit, reason }) => `- skipped ${commit.slice(0, 12)}: ${safeLine(reason)}`),
  ];
  return `${lines.join('\n')}\n`;
}

/** The answer in a few words, and the reason for it. */
export function headline({ state, reason, culprits }: BisectResult): {
  readonly short: string;
  readonly reason: string;
} {
  const [culprit] = culprits;
  const name = culprits.length === 1 ? (culprit?.commit.slice(0, 12) ?? '') : `One of ${culprits.length} commits`;
  const short = {
    confirmed: `${name} introduced the failure`,
    unconfirmed: `${name} probably introduced the failure`,
    undecided: 'The commit is not found',
    indistinct: 'Nothing was bisected',
    reversed: 'Nothing was bisected',
  }[state];
  return { short, reason };
}

/** What the bad end with the culprit reverted says. A failure that is still there may have another cause as well. */
export function revertSentence(revert: BisectRevert): string {
  const subject = 'the bad end with the culprit reverted';
  if ('reason' in revert) return `${subject}: not tried, ${safeLine(revert.reason)}`;
  const line = `${subject}: ${counted(revert)}`;
  if (revert.isLower) return line;
  return revert.failures === 0
    ? `${line}; too few attempts to tell that the failure is rarer`
    : `${line}; not shown to be rarer than without the revert. That does not refute the answer: a later commit may cause the failure as well`;
}

function counted({ failures, attempts }: Count): string {
  const interval = wilsonInterval(failures, attempts);
  const rate =
    interval === null
      ? ''
      : `, 95 % interval of the rate ${formatPercent(interval[0])} to ${formatPercent(interval[1])}`;
  return `${failures} of ${attempts} attempts failed${rate}`;
}
