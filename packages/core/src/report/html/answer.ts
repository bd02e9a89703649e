import { formatDuration, formatPercent } from '../../util/text/format.js';
import type { RunAnalysis } from '../analysis/analysis.js';
import type { Comparison } from '../analysis/comparison.js';
import { goalResult, goalSentence } from '../analysis/goal.js';
import type { RunInput } from '../analysis/input.js';
import { counted } from '../wording/format.js';
import {
  comparisonHeadline,
  comparisonSentence,
  comparisonSummary,
  headline,
  rateSentence,
} from '../wording/wording.js';
import { niceCeiling, rateGauge } from './charts.js';
import { html, type Html } from './html.js';

export interface AnalyzedRun {
  readonly input: RunInput;
  readonly analysis: RunAnalysis;
}

export function answerOfOne({ input, analysis }: AnalyzedRun): Html {
  const goal = goalResult(input);
  const {
    rate,
    interval,
    medianTimeToFailure,
    timesToFailure,
    timePerFailure,
    cleanToShowFix,
    inconclusive,
    meanAttemptMs,
  } = analysis;
  const [first, last] = [timesToFailure[0], timesToFailure.at(-1)];
  return html`<h1>${headline(analysis)}</h1>
<p class="rate">${rateSentence(analysis)}${goal && ` ${goalSentence(goal)}`}</p>
${rate !== null && interval !== null && rateGauge(rate, interval, niceCeiling(Math.max(interval[1], 0.01)))}
<dl class="facts">
${medianTimeToFailure !== null && fact('Until it fails', formatDuration(medianTimeToFailure), first === last || first === undefined || last === undefined ? 'the one time it did' : `median; from ${formatDuration(first)} to ${formatDuration(last)}`)}
${timePerFailure !== null && fact('One failure per', formatDuration(timePerFailure), 'of trying, restores included')}
${cleanToShowFix !== null && fact('To show a fix', counted(cleanToShowFix, 'clean attempt'), 'in a row, at 95 % confidence')}
${timePerFailure === null && meanAttemptMs !== null && fact('An attempt takes', formatDuration(meanAttemptMs), 'on average, restore included')}
${inconclusive > 0 && fact('Not counted', `${inconclusive} inconclusive`, 'see the reasons below')}
</dl>`;
}

/** Runs as the wording wants them. */
export function named(runs: readonly AnalyzedRun[]): { readonly label: string; readonly analysis: RunAnalysis }[] {
  return runs.map(({ input, analysis }) => ({ label: input.label, analysis }));
}

function fact(name: string, value: string, note: string): Html {
  return html`<div><dt>${name}</dt><dd><b>${value}</b> <span>${note}</span></dd></div>`;
}

/** The answer when runs are compared: whether the rate went down. */
export function answerOfSeveral(runs: readonly AnalyzedRun[], comparisons: readonly Comparison[]): Html {
  const most = niceCeiling(Math.max(0.01, ...runs.map(({ analysis }) => analysis.interval?.[1] ?? 0)));
  return html`<h1>${comparisonHeadline(named(runs), comparisons)}</h1>
<p class="rate">${comparisonSummary(named(runs), comparisons)}</p>
<div class="versus">
${runs.map(({ input, analysis }, index) => {
  const comparison = comparisons[index - 1];
  return html`<div class="row"><div class="who"><i class="key run${index}"></i><b>${input.label}</b><span>${analysis.failures} of ${counted(analysis.attempts, 'attempt')}${analysis.rate !== null && html`, ${formatPercent(analysis.rate)}`}</span></div>
<div>${analysis.rate !== null && analysis.interval !== null && rateGauge(analysis.rate, analysis.interval, most, index)}</div>
<p>${comparison ? comparisonSentence(comparison) : 'The run that the others are compared with.'}</p></div>`;
})}
</div>`;
}
