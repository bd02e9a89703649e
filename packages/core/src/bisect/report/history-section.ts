import { type Html, html } from '../../report/html/html.js';
import { wilsonInterval } from '../../statistics/wilson.js';
import { formatPercent } from '../../util/text/format.js';
import { safeLine } from '../../util/text/text-hygiene.js';
import { nounOf, shortName } from '../commit-name.js';
import { type GraphRow, layOutGraph, simplifyHistory } from './history-graph.js';
import type { BisectionPage } from './page-input.js';

const [LANE, ROW] = [14, 30];
/** More lanes would leave no room for the subjects. */
const MAX_LANES = 16;

/** The history as a graph, newest first: probability and attempts of each commit. */
export function historySection(input: BisectionPage): Html {
  const { history, shown, result, probabilities } = input;
  const noun = nounOf(result.bad);
  const rows = layOutGraph(simplifyHistory(history, shown, result.good));
  const lanes = Math.min(MAX_LANES, 1 + Math.max(0, ...rows.flatMap((row) => [row.lane, ...row.out, ...row.past])));
  const most = Math.max(1e-9, ...history.map(({ id }) => probabilities.get(id) ?? 0));
  const hidden = history.filter(({ id }) => !shown.has(id));
  const rest = hidden.reduce((sum, { id }) => sum + (probabilities.get(id) ?? 0), 0);
  return html`<section id="history"><h2>The ${noun}s</h2>
<div class="scroll"><table class="history"><thead><tr><th></th><th>${noun === 'kernel' ? 'Kernel' : 'Commit'}</th><th></th><th>Probability</th><th>Failed attempts</th><th></th></tr></thead><tbody>
${rows.map((row) => historyRow(row, { input, lanes, most }))}
</tbody></table></div>
${hidden.length > 0 && html`<p class="note">${hidden.length} ${noun}s that were not tried are left out; together they have a probability of ${formatPercent(rest)}. A line may stand for several of them.</p>`}</section>`;
}

function historyRow(
  row: GraphRow,
  { input, lanes, most }: { readonly input: BisectionPage; readonly lanes: number; readonly most: number },
): Html {
  const { result, probabilities, subjects } = input;
  const { id } = row;
  const isCulprit = result.culprits.some(({ commit }) => commit === id);
  const label = isCulprit ? 'culprit' : id === result.bad ? 'bad end' : id === result.good ? 'good end' : undefined;
  const skipped = result.skipped.find(({ commit }) => commit === id);
  const count = result.counts.find(({ commit, attempts }) => commit === id && attempts > 0);
  const probability = probabilities.get(id);
  const kind = skipped ? 'skipped' : count ? (count.failures > 0 ? 'failed' : 'passed') : 'untried';
  const interval = count && wilsonInterval(count.failures, count.attempts);
  return html`<tr${isCulprit && html` class="culprit"`}><td class="graph">${graph(row, lanes, kind)}</td><td><code>${shortName(id)}</code></td>
<td class="subject" title="${safeLine(subjects.get(id) ?? '')}">${label && html`<b class="badge">${label}</b> `}${safeLine(subjects.get(id) ?? '')}${skipped && html` <span class="meta">skipped: ${safeLine(skipped.reason)}</span>`}</td>
<td class="probability">${probability !== undefined && html`<svg width="72" height="10" role="img" aria-label="${formatPercent(probability)}"><rect class="bar" width="${Number(((probability / most) * 72).toFixed(1))}" height="10"/></svg> ${shortPercent(probability)}`}</td>
<td class="count">${count && `${count.failures} of ${count.attempts}`}</td>
<td class="interval">${count && interval && html`<svg width="110" height="12" role="img" aria-label="interval of the rate: ${formatPercent(interval[0])} to ${formatPercent(interval[1])}"><title>${formatPercent(count.failures / count.attempts)}, interval ${formatPercent(interval[0])} to ${formatPercent(interval[1])}</title>${gauge(count.failures / count.attempts, interval, kind)}</svg>`}</td></tr>`;
}

function gauge(rate: number, [low, high]: readonly [number, number], kind: string): Html {
  const at = (share: number) => Number((5 + share * 100).toFixed(1));
  return html`<line class="axis" x1="5" x2="105" y1="6" y2="6"/><line class="band ${kind}" x1="${at(low)}" x2="${at(high)}" y1="6" y2="6"/><circle class="dot ${kind}" cx="${at(rate)}" cy="6" r="4"/>`;
}

const shortPercent = (share: number) => (share > 0 && share < 0.0005 ? '< 0.1 %' : formatPercent(share));

/** Lines lead from the middle of a row to that of the next one. */
function graph({ lane, into, out, past }: GraphRow, lanes: number, kind: string): Html {
  const x = (of: number) => 8 + Math.min(of, MAX_LANES - 1) * LANE;
  const [top, middle, bottom] = [0, ROW / 2, ROW];
  const curve = (from: number, y1: number, to: number, y2: number) =>
    from === to
      ? `M${x(from)} ${y1}V${y2}`
      : `M${x(from)} ${y1}C${x(from)} ${(y1 + y2) / 2} ${x(to)} ${(y1 + y2) / 2} ${x(to)} ${y2}`;
  const path = [
    ...past.map((one) => `M${x(one)} ${top}V${bottom}`),
    ...into.map((from) => curve(from, top, lane, middle)),
    ...out.map((to) => curve(lane, middle, to, bottom)),
  ].join('');
  return html`<svg width="${x(lanes - 1) + 8}" height="${ROW}" aria-hidden="true"><path d="${path}"/><circle class="${kind}" cx="${x(lane)}" cy="${middle}" r="5"/></svg>`;
}
