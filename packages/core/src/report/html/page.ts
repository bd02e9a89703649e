import { createHash } from 'node:crypto';
import { safeLine } from '../../util/text/text-hygiene.js';
import { analyze } from '../analysis/analysis.js';
import { compareRuns } from '../analysis/comparison.js';
import type { RunInput } from '../analysis/input.js';
import { date } from '../wording/format.js';
import { comparisonHeadline, headline } from '../wording/wording.js';
import { answerOfOne, answerOfSeveral, named, type AnalyzedRun } from './answer.js';
import { failuresSection } from './failures.js';
import { embeddedJson, Html, html } from './html.js';
import { pageRun, type PageData } from './page-data.js';
import {
  attemptsSection,
  environmentSection,
  explanationSection,
  stateOf,
  survivalSection,
  sysrqSection,
} from './sections.js';

/** The page's own script and style, as they were built. */
export interface PageAssets {
  readonly script: string;
  readonly style: string;
}

/** Runs side by side, the one before the fix first, as one HTML file that needs nothing else. */
export function renderHtml(inputs: readonly RunInput[], assets: PageAssets): string {
  const runs = inputs.map((input): AnalyzedRun => ({ input, analysis: analyze(input) }));
  const comparisons = compareRuns(runs.map(({ analysis }) => analysis));
  const [first] = runs;
  const answer = runs.length === 1 && first ? headline(first.analysis) : comparisonHeadline(named(runs), comparisons);
  const name = safeLine([...new Set(inputs.map(({ run }) => run.name))].join(', '));
  const data: PageData = { v: 1, runs: runs.map(({ input, analysis }) => pageRun(input, analysis.groups)) };
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${new Html(policy(assets))}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="qmpilot">
<title>${answer} – ${name}</title><link rel="icon" href="data:,">
<style>${new Html(assets.style)}</style></head><body><main>
<header class="top"><b>${name}</b>${runs.length === 1 && first && html`<span>${first.input.run.startedAt !== undefined && date(first.input.run.startedAt)}</span><span>${stateOf(first.input)}</span>`}</header>
<section id="answer">${runs.length === 1 && first ? answerOfOne(first) : answerOfSeveral(runs, comparisons)}</section>
${attemptsSection(runs)}
${failuresSection(runs)}
${explanationSection(runs)}
${survivalSection(runs)}
<section id="viewer" hidden></section>
${sysrqSection(runs)}
${environmentSection(runs)}
<footer>Inconclusive attempts are not part of rates; intervals are Wilson score intervals at 95 %. Made by <b>qmpilot</b>. This file is self-contained: it loads nothing.</footer>
</main><script type="application/json" id="data">${embeddedJson(data)}</script><script>${new Html(assets.script)}</script></body></html>
`.text;
}

/** Nothing from anywhere, and no script or style but these two. */
function policy({ script, style }: PageAssets): string {
  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  return `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; img-src data:; base-uri 'none'; form-action 'none'`;
}
