import { safeLine } from '../../util/text/text-hygiene.js';
import { analyze } from '../analysis/analysis.js';
import { compareRuns } from '../analysis/comparison.js';
import type { RunInput } from '../analysis/input.js';
import { date } from '../wording/format.js';
import { comparisonHeadline, headline } from '../wording/wording.js';
import { answerOfOne, answerOfSeveral, named, type AnalyzedRun } from './answer.js';
import { type PageAssets, renderDocument } from './document.js';
import { failuresSection } from './failures.js';
import { html } from './html.js';
import { pageRun, type PageData } from './page-data.js';
import {
  attemptsSection,
  environmentSection,
  explanationSection,
  stateOf,
  survivalSection,
  sysrqSection,
} from './sections.js';
import { whenSection } from './when-section.js';

/** Runs side by side, the one before the fix first, as one HTML file that needs nothing else. */
export function renderHtml(inputs: readonly RunInput[], assets: Pick<PageAssets, 'script' | 'style'>): string {
  const runs = inputs.map((input): AnalyzedRun => ({ input, analysis: analyze(input) }));
  const comparisons = compareRuns(runs.map(({ analysis }) => analysis));
  const [first] = runs;
  const answer = runs.length === 1 && first ? headline(first.analysis) : comparisonHeadline(named(runs), comparisons);
  const name = safeLine([...new Set(inputs.map(({ run }) => run.name))].join(', '));
  const data: PageData = { v: 1, runs: runs.map(({ input, analysis }) => pageRun(input, analysis.groups)) };
  const body = html`<header class="top"><b>${name}</b>${runs.length === 1 && first && html`<span>${first.input.run.startedAt !== undefined && date(first.input.run.startedAt)}</span><span>${stateOf(first.input)}</span>`}</header>
<section id="answer">${runs.length === 1 && first ? answerOfOne(first) : answerOfSeveral(runs, comparisons)}</section>
${attemptsSection(runs)}
${failuresSection(runs)}
${explanationSection(runs)}
${whenSection(runs)}
${survivalSection(runs)}
<section id="viewer" hidden></section>
${sysrqSection(runs)}
${environmentSection(runs)}
<footer>Inconclusive attempts are not part of rates; intervals are Wilson score intervals at 95 %. Made by <b>qmpilot</b>. This file is self-contained: it loads nothing.</footer>`;
  return renderDocument({
    title: html`${answer} – ${name}`,
    body,
    style: assets.style,
    script: { text: assets.script, data },
  });
}
