import type { RunSummary } from '@qmpilot/core';
import { formatPercent } from '@qmpilot/core/internal';
import { shortMs } from './text/durations.js';
import { visible } from './text/visible.js';

const MAX_SYMPTOMS = 6;

/** The result of a run, for people. */
export function renderSummary(summary: RunSummary): string {
  const { attempts, reproduced, clean, inconclusive, threw, rate, interval, medianTimeToFailureMs } = summary;
  const lines = [
    `${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}: ${reproduced} reproduced, ${clean} clean, ${inconclusive} inconclusive`,
    ...(threw > 0
      ? [`${threw} of the inconclusive attempts threw an error; to count it as a failure: fail() or failOn: 'throw'`]
      : []),
    rate === null || interval === null
      ? 'rate: unknown, as all attempts were inconclusive'
      : `rate: ${formatPercent(rate)} (95 % interval ${formatPercent(interval[0])} to ${formatPercent(interval[1])})`,
    ...(medianTimeToFailureMs === null ? [] : [`median time to failure: ${shortMs(medianTimeToFailureMs)}`]),
    ...summary.failures.flatMap(failureLines),
    `evidence: ${summary.dir}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** A failure, and below it the findings that belong to it. */
function failureLines({ title, attempts, symptoms }: RunSummary['failures'][number]): string[] {
  const more = symptoms.length - MAX_SYMPTOMS;
  return [
    `  ${attempts} x  ${visible(title)}`,
    ...symptoms
      .slice(0, MAX_SYMPTOMS)
      .map(
        (symptom) =>
          `       - ${visible(symptom.title)}${symptom.attempts < attempts ? ` (in ${symptom.attempts} of ${attempts})` : ''}`,
      ),
    ...(more > 0 ? [`       - and ${more} more`] : []),
  ];
}
