import { niceCeiling } from '../../report/html/charts.js';
import { type Html, html } from '../../report/html/html.js';
import { formatPercent } from '../../util/text/format.js';
import { safeLine } from '../../util/text/text-hygiene.js';
import { nounOf, shortName } from '../commit-name.js';
import type { BisectionPage } from './page-input.js';

const MAX_BARS = 240;
const [HEIGHT, BASE, MARK] = [190, 150, 14];

/** The probability of each commit over the history, oldest on the left; neighbours share a bar where there are too many. */
export function posteriorChart({ history, probabilities, result, subjects }: BisectionPage): Html {
  const commits = history.toReversed();
  const counts = new Map(result.counts.map((count) => [count.commit, count]));
  const skipped = new Set(result.skipped.map(({ commit }) => commit));
  const perBar = Math.ceil(commits.length / MAX_BARS);
  const bars = Array.from({ length: Math.ceil(commits.length / perBar) }, (_, bar) => {
    const own = commits.slice(bar * perBar, (bar + 1) * perBar);
    const probability = own.reduce((sum, { id }) => sum + (probabilities.get(id) ?? 0), 0);
    const tried = own.flatMap(({ id }) => counts.get(id) ?? []);
    return { own, probability, tried, isSkipped: own.some(({ id }) => skipped.has(id)) };
  });
  const most = niceCeiling(Math.max(0.01, ...bars.map(({ probability }) => probability)));
  const x = (bar: number) => `${Number(((bar / bars.length) * 100).toFixed(3))}%`;
  const width = `${Number((80 / bars.length).toFixed(3))}%`;
  const level = (probability: number) => Number((BASE * (1 - probability / most)).toFixed(1));
  return html`<svg class="posterior" height="${HEIGHT}" role="img" aria-label="Probability of each ${nounOf(result.bad)}, over the history">
${[1, 0.5, 0].map((part) => html`<line class="grid" x1="0" x2="100%" y1="${level(part * most)}" y2="${level(part * most)}"/><text x="-8" y="${level(part * most) + 4}" text-anchor="end">${formatPercent(part * most)}</text>`)}
${bars.map(({ own, probability, tried, isSkipped }, bar) => {
  const [first] = own;
  const name =
    own.length === 1 && first
      ? `${shortName(first.id)} ${safeLine(subjects.get(first.id) ?? '')}`
      : `${own.length} ${nounOf(result.bad)}s`;
  const failures = tried.reduce((sum, count) => sum + count.failures, 0);
  const attempts = tried.reduce((sum, count) => sum + count.attempts, 0);
  const seen = attempts > 0 ? `, ${failures} of ${attempts} attempts failed` : isSkipped ? ', skipped' : '';
  const y = level(probability);
  const mark = attempts > 0 ? (failures > 0 ? 'failed' : 'passed') : isSkipped ? 'skipped' : undefined;
  return html`<g><title>${name}: ${formatPercent(probability)}${seen}</title><rect class="hit" x="${x(bar)}" width="${x(1)}" y="0" height="${BASE + MARK + 8}"/><rect class="bar" x="${x(bar)}" width="${width}" y="${y}" height="${Number((BASE - y).toFixed(1))}"/>${mark && html`<rect class="mark ${mark}" x="${x(bar)}" width="${width}" y="${BASE + 6}" height="${MARK}"/>`}</g>`;
})}
<text x="0" y="${HEIGHT - 4}">good ${shortName(result.good)}</text><text x="100%" y="${HEIGHT - 4}" text-anchor="end">${shortName(result.bad)} bad</text>
</svg>
<p class="legend"><span><i class="failed"></i>has failed</span><span><i class="passed"></i>has not failed</span>${skipped.size > 0 && html`<span><i class="skipped"></i>skipped</span>`}${perBar > 1 && html`<span>${perBar} ${nounOf(result.bad)}s a bar</span>`}</p>`;
}
