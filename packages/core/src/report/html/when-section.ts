import type { WhenPoint, WhenResult } from '../../run-files/when-file.js';
import { formatDuration, formatPercent } from '../../util/text/format.js';
import { safeLine } from '../../util/text/text-hygiene.js';
import { basisOf, chanceWithBand, measuredPoints, placeOf, whenSentence } from '../when/describe-when.js';
import type { AnalyzedRun } from './answer.js';
import { html, type Html } from './html.js';
import { timeTicks } from './time-ticks.js';

/** The probability of the failure along attempts, and what happened where it rises. */
export function whenSection(runs: readonly AnalyzedRun[]): Html {
  const told = runs.flatMap(({ input }, run) =>
    (input.when ?? []).map((result) => ({ result, run, label: input.label })),
  );
  if (told.length === 0) return html``;
  return html`<section id="when"><h2>When it is decided</h2>
${told.map(({ result, run, label }) => one(result, run, runs.length > 1 ? label : undefined))}
</section>`;
}

function one(result: WhenResult, run: number, label: string | undefined): Html {
  const { attempt, failure, rise, points, interval, notes } = result;
  const from = rise && points[rise.from];
  return html`<p><b>${whenSentence(result)}</b> Attempt ${attempt}${label !== undefined && html` of ${label}`}: ${safeLine(failure.title)}.</p>
${whenChart(result, run)}
<div class="scroll"><table class="when"><thead><tr><th>Time</th><th>Probability of the failure</th><th>From</th><th>Seen</th></tr></thead><tbody>
${measuredPoints(result).map((point) => html`<tr${isRise(result, point) && html` class="rise"`}><td>${formatDuration(point.at)}</td><td>${chanceWithBand(point)}</td><td>${placeOf(point)}</td><td>${basisOf(point)}</td></tr>`)}
</tbody></table></div>
${interval && interval.events.length > 0 && html`<h3>What the attempt did in between</h3><pre>${interval.events.map(({ at, text }) => `${formatDuration(at)}  ${safeLine(text)}`).join('\n')}</pre>`}
${interval && interval.console.length > 0 && html`<h3>Console in between</h3><pre>${interval.console.map((line) => safeLine(line)).join('\n')}</pre>`}
${from && html`<p><button type="button" class="goto" data-run="${run}" data-attempt="${attempt}" data-at="${Math.round(from.at)}">Show this moment in attempt ${attempt}</button></p>`}
${rise?.checkpoint !== undefined && html`<p>The checkpoint before, in the run directory: <code>${safeLine(rise.checkpoint)}</code></p>`}
${notes.map((note) => html`<p class="note">${safeLine(note)}</p>`)}`;
}

function isRise({ rise, points }: WhenResult, point: WhenPoint): boolean {
  return rise !== undefined && (points[rise.from] === point || points[rise.to] === point);
}

const HEIGHT = 232;
const LEVELS = [0, 0.25, 0.5, 0.75, 1];

const share = (value: number) => `${Number((value * 100).toFixed(3))}%`;

/**
 * The measured probabilities over the time of the attempt, with their intervals as a band; the rise is shaded. A click on it, or on a point, shows
 * the console at that moment.
 */
function whenChart(result: WhenResult, run: number): Html {
  const { attempt, failure, rise, points } = result;
  const moment = (at: number) => html`data-run="${run}" data-attempt="${attempt}" data-at="${Math.round(at)}"`;
  const most = Math.max(1, failure.at, ...points.map(({ at }) => at)) * 1.03;
  const measured = measuredPoints(result).flatMap((point) =>
    point.probability === null ? [] : [{ point, probability: point.probability, band: point.interval ?? ONE }],
  );
  const ticks = timeTicks(0, most, 6);
  const x = (time: number) => Number(((time / most) * 1000).toFixed(1));
  const y = (value: number) => Number(((1 - value) * 1000).toFixed(1));
  const line = measured.map(({ point, probability }) => `${x(point.at)} ${y(probability)}`).join('L');
  const upper = measured.map(({ point, band }) => `${x(point.at)} ${y(band[1])}`);
  const lower = measured.map(({ point, band }) => `${x(point.at)} ${y(band[0])}`).toReversed();
  const [from, to] = [rise && points[rise.from], rise && points[rise.to]];
  return html`<svg class="survival when" height="${HEIGHT}" role="img" aria-label="Probability of the failure, by the time of the attempt">
${from && to && html`<rect class="rise" x="${share(from.at / most)}" width="${share((to.at - from.at) / most)}" y="0" height="100%" ${moment(from.at)}><title>What happened between ${formatDuration(from.at)} and ${formatDuration(to.at)}</title></rect>`}
${LEVELS.map((level) => html`<line class="grid" x1="0" x2="100%" y1="${share(1 - level)}" y2="${share(1 - level)}"/>`)}
${ticks.map((time) => html`<line class="grid" x1="${share(time / most)}" x2="${share(time / most)}" y1="0" y2="100%"/>`)}
<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" width="100%" height="100%">
<path class="interval" d="M${[...upper, ...lower].join('L')}Z"/><path class="curve" d="M${line}"/>
</svg>
${measured.map(({ point, probability }) => html`<circle class="dot" cx="${share(point.at / most)}" cy="${share(1 - probability)}" r="4" ${moment(point.at)}><title>${formatDuration(point.at)}: ${chanceWithBand(point)}, ${placeOf(point)}</title></circle>`)}
${ticks.map((time, index) => html`<text x="${share(time / most)}" y="100%" dy="18" text-anchor="${index === 0 ? 'start' : 'middle'}">${index === 0 ? '0' : formatDuration(time)}</text>`)}
${LEVELS.map((level, index) => index % 2 === 0 && html`<text x="-8" y="${share(1 - level)}" dy="4" text-anchor="end">${formatPercent(level)}</text>`)}
</svg>`;
}

/** At the failure there is nothing to measure. */
const ONE = [1, 1] as const;
