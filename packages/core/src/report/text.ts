import { formatDuration } from '../util/text/format.js';
import { safeLine } from '../util/text/text-hygiene.js';
import { analyze, type RunAnalysis } from './analysis/analysis.js';
import { compareRuns } from './analysis/comparison.js';
import { goalResult, goalSentence } from './analysis/goal.js';
import type { RunInput } from './analysis/input.js';
import { symptomLines } from './wording/symptoms.js';
import { comparisonHeadline, comparisonSentence, headline, rateSentence } from './wording/wording.js';

const MAX_GROUPS = 12;

/** The answer as lines for a terminal; several runs are compared with the first. */
export function renderText(inputs: readonly RunInput[]): string {
  const runs = inputs.map((input) => ({ label: safeLine(input.label), input, analysis: analyze(input) }));
  const lines = runs.flatMap(({ label, input, analysis }) => [
    `${runs.length > 1 ? `${label}: ` : ''}${headline(analysis)}`,
    ...about(input, analysis).map((line) => `  ${line}`),
    ...input.notes.map((note) => `  note: ${safeLine(note)}`),
  ]);
  const comparisons = compareRuns(runs.map(({ analysis }) => analysis));
  const compared =
    comparisons.length === 0
      ? []
      : [
          comparisonHeadline(runs, comparisons),
          ...comparisons.map((one, index) => `  ${runs[index + 1]?.label ?? ''}: ${comparisonSentence(one)}`),
        ];
  return `${[...compared, ...lines].join('\n')}\n`;
}

function about(input: RunInput, analysis: RunAnalysis): string[] {
  const goal = goalResult(input);
  const { medianTimeToFailure, timePerFailure, cleanToShowFix, inconclusive, groups } = analysis;
  const errors = groups.filter(({ severity }) => severity === 'error');
  return [
    rateSentence(analysis),
    ...(goal === null ? [] : [goalSentence(goal)]),
    ...(medianTimeToFailure === null || timePerFailure === null
      ? []
      : [
          `Median time to failure: ${formatDuration(medianTimeToFailure)}; one failure per ${formatDuration(timePerFailure)} of trying.`,
        ]),
    ...(cleanToShowFix === null ? [] : [`${cleanToShowFix} clean attempts in a row would show a fix (95 %).`]),
    ...(inconclusive === 0 ? [] : [`${inconclusive} inconclusive, not counted.`]),
    ...errors
      .slice(0, MAX_GROUPS)
      .flatMap((group) => [
        `${String(group.attempts.length).padStart(4)} x  ${safeLine(group.title)}`,
        ...symptomLines(group).map((line) => `         ${line}`),
      ]),
    ...(errors.length > MAX_GROUPS ? [`        and ${errors.length - MAX_GROUPS} more`] : []),
  ];
}
