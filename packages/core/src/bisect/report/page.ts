import { type PageAssets, renderDocument } from '../../report/html/document.js';
import { type Html, html } from '../../report/html/html.js';
import { date } from '../../report/wording/format.js';
import { formatDuration, formatPercent } from '../../util/text/format.js';
import { safeLine } from '../../util/text/text-hygiene.js';
import { nounOf, shortName } from '../commit-name.js';
import { historySection } from './history-section.js';
import { headline, revertSentence } from './markdown.js';
import type { BisectionPage, Series } from './page-input.js';
import { posteriorChart } from './posterior-chart.js';
import { ratesTable } from './rates-table.js';

/** Describes a bisection as one HTML file that needs nothing else. */
export function renderBisection(input: BisectionPage, assets: PageAssets): string {
  const { result, about } = input;
  const body = html`<header class="top"><b>Bisection</b><span>${date(about.startedAt)}</span><span>${result.commits} ${nounOf(result.bad)}s of ${safeLine(about.repo ?? `Debian ${about.kernels?.suite ?? ''}`)}</span></header>
<section id="answer">${answer(input)}</section>
${posteriorSection(input)}
${historySection(input)}
${seriesSection(input)}
${environmentSection(input)}
<footer>The probabilities hold for the model: one commit changed the rate, and attempts are independent. They are not an error rate; the fresh attempts of the confirmation are what checks the answer. Attempts that end in another failure or without a verdict count neither way; intervals are Wilson score intervals at 95 %. Made by <b>qmpilot</b>. This file is self-contained: it loads nothing.</footer>`;
  return renderDocument({ title: html`${headline(result).short}`, body, style: assets.style + assets.bisectionStyle });
}

function answer({ result }: BisectionPage): Html {
  const { culprits, suspects, rates, state } = result;
  const { short, reason } = headline(result);
  const isBisected = state !== 'indistinct' && state !== 'reversed';
  const [likeliest] = culprits.length > 0 ? culprits : suspects;
  return html`<h1>${short}</h1>
<p class="rate">${safeLine(reason)}</p>
${culprits.length > 0 && html`<ul class="culprits">${culprits.map(({ commit, subject }) => html`<li><code>${shortName(commit)}</code> ${safeLine(subject)}</li>`)}</ul>`}
${result.signature !== undefined && html`<p class="meta">Failure: ${safeLine(result.signature)}</p>`}
${ratesTable(result)}
${result.revert && html`<p class="note">${revertSentence(result.revert)}.</p>`}
<dl class="facts">
${isBisected && likeliest && fact('Probability', formatPercent(likeliest.probability), culprits.length > 0 ? 'in the model, before the confirmation' : `of the most likely ${nounOf(result.bad)}, ${shortName(likeliest.commit)}`)}
${culprits.length > 0 && fact('Estimated rate', formatPercent(rates.after), `from it on; ${formatPercent(rates.before)} before`)}
${fact('Attempts', String(result.attempts), `on ${result.counts.length} ${nounOf(result.bad)}s`)}
${fact('Builds', String(result.builds), result.skipped.length === 0 ? 'none skipped' : `${result.skipped.length} skipped`)}
${fact('Time', formatDuration(result.ms), 'of builds and attempts')}
</dl>`;
}

function fact(name: string, value: string, note: string): Html {
  return html`<div><dt>${name}</dt><dd><b>${value}</b> <span>${note}</span></dd></div>`;
}

function posteriorSection(input: BisectionPage): Html {
  const { state, bad } = input.result;
  const noun = nounOf(bad);
  if (state === 'indistinct' || state === 'reversed') return html``;
  return html`<section id="posterior"><h2>Where the culprit is</h2>
${posteriorChart(input)}
<p class="note">Probability that a ${noun} introduced the failure, from the oldest one on the left to the newest. The marks below are what was tried.</p></section>`;
}

const PURPOSES = { ends: 'end', search: 'search', confirmation: 'confirmation', revert: 'culprit reverted' } as const;

function seriesSection({ series, result }: BisectionPage): Html {
  if (series.length === 0) return html``;
  return html`<section id="series"><h2>Series of attempts</h2>
<div class="scroll"><table class="series"><thead><tr><th>Series</th><th>${nounOf(result.bad) === 'kernel' ? 'Kernel' : 'Commit'}</th><th>For</th><th>Attempts</th><th>Time</th></tr></thead><tbody>
${series.map(
  (one) =>
    html`<tr><td><a href="${one.path}">${one.name}</a></td><td><code>${shortName(one.commit)}</code></td><td>${PURPOSES[one.purpose]}</td><td>${outcome(one)}</td><td>${formatDuration(one.ms)}</td></tr>`,
)}
</tbody></table></div></section>`;
}

function outcome({ failures, verdicts, made, unusable }: Series): string {
  const noVerdict = made > verdicts ? `, ${made - verdicts} without a verdict` : '';
  const ended = unusable === undefined ? '' : `; ${safeLine(unusable)}`;
  return `${failures} of ${verdicts} failed${noVerdict}${ended}`;
}

function environmentSection({ about, environment, result }: BisectionPage): Html {
  const facts = [
    about.repo === undefined ? ['Kernels', about.kernels?.pattern] : ['Repository', about.repo],
    ['Good end', result.good],
    ['Bad end', result.bad],
    ...(about.paths.length === 0 ? [] : [['Paths', about.paths.join(' ')]]),
    ...(about.build === undefined ? [] : [['Build command', about.build]]),
    ...(about.install === undefined ? [] : [['Installation command', about.install]]),
    ...environment.map(({ name, value }) => [name, value]),
  ];
  return html`<section id="environment"><h2>Environment</h2>
<div class="scroll"><table class="environment"><tbody>
${facts.map(([name, value]) => html`<tr><th>${name}</th><td>${safeLine(value ?? '')}</td></tr>`)}
</tbody></table></div></section>`;
}
