import type { Count } from '../../statistics/count.js';
import { wilsonInterval } from '../../statistics/wilson.js';
import { formatDuration, formatPercent } from '../../util/text/format.js';
import { safeLine } from '../../util/text/text-hygiene.js';
import { nounOf, shortName } from '../commit-name.js';
import type { BisectResult, BisectRevert } from '../result.js';

/** Describes a bisection in Markdown, for a mailing list or an issue. */
export function renderReport(result: BisectResult): string {
  const { culprits, suspects, confirmation, ends, skipped, rates } = result;
  const named = ({ commit, subject }: { readonly commit: string; readonly subject: string }) =>
    `${shortName(commit)} ("${safeLine(subject)}")`;
  const [culprit] = culprits;
  const noun = nounOf(result.bad);
  const before = noun === 'kernel' ? 'the one before it, ' : 'its parent ';
  const { short, reason } = headline(result);
  const lines = [
    `${short}: ${reason}.`,
    '',
    ...(culprits.length > 1 ? [`No attempt tells these ${noun}s apart:`, ''] : []),
    ...culprits.map((one) => `- ${named(one)}`),
    ...(culprit ? [''] : []),
    ...(result.state !== 'undecided'
      ? []
      : [
          `${noun === 'kernel' ? 'Kernels' : 'Commits'} that hold the culprit with a probability of 95 % in the model:`,
          '',
          ...suspects.map((one) => `- ${formatPercent(one.probability)}: ${named(one)}`),
          '',
        ]),
    `- range: ${shortName(result.good)}..${shortName(result.bad)}, ${result.commits} ${noun}s`,
    ...(result.signature === undefined ? [] : [`- failure: ${safeLine(result.signature)}`]),
    `- bad end: ${counted(ends.bad)}`,
    `- good end: ${counted(ends.good)}`,
    ...(culprit
      ? [`- estimated rate: ${formatPercent(rates.before)} before, ${formatPercent(rates.after)} from it on`]
      : []),
    ...confirmation.map(
      (one, index) => `- fresh attempts on ${index === 0 ? '' : before}${shortName(one.commit)}: ${counted(one)}`,
    ),
    ...(result.revert ? [`- ${revertSentence(result.revert)}`] : []),
    `- ${result.builds} builds, ${result.attempts} attempts, ${formatDuration(result.ms)}`,
    ...skipped.map(({ commit, reason }) => `- skipped ${shortName(commit)}: ${safeLine(reason)}`),
  ];
  return `${lines.join('\n')}\n`;
}

/** The answer in a few words, and the reason for it. */
export function headline({ state, reason, culprits, bad }: BisectResult): {
  readonly short: string;
  readonly reason: string;
} {
  const [culprit] = culprits;
  const noun = nounOf(bad);
  const name =
    culprits.length === 1 ? (culprit ? shortName(culprit.commit) : '') : `One of ${culprits.length} ${noun}s`;
  const short = {
    confirmed: `${name} introduced the failure`,
    unconfirmed: `${name} probably introduced the failure`,
    undecided: `The ${noun} is not found`,
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
