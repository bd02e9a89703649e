import type { SurvivalCurve } from '../../statistics/kaplan-meier.js';
import { formatDuration, formatPercent } from '../../util/text/format.js';
import { html, type Html } from './html.js';
import { timeTicks } from './time-ticks.js';

/** The smallest of 1, 2, 2.5, 5 times a power of ten that is not below `value`. */
export function niceCeiling(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= value * (1 - 1e-9)) ?? 10) * power;
}

const share = (value: number) => `${Number((value * 100).toFixed(3))}%`;

/** A rate with its interval on an axis from 0 to `most`, in the colour of that run. */
export function rateGauge(rate: number, [low, high]: readonly [number, number], most: number, run = 0): Html {
  const at = (value: number) => share(Math.min(1, value / most));
  return html`<svg class="gauge run${run}" height="34" role="img" aria-label="${formatPercent(rate)}, interval ${formatPercent(low)} to ${formatPercent(high)}">
<line class="axis" x1="0" x2="100%" y1="10" y2="10"/>
<line class="band" x1="${at(low)}" x2="${at(high)}" y1="10" y2="10"/>
<circle class="dot" cx="${at(rate)}" cy="10" r="6"/>
<text x="0" y="32">0</text><text x="50%" y="32" text-anchor="middle">${formatPercent(most / 2)}</text><text x="100%" y="32" text-anchor="end">${formatPercent(most)}</text>
</svg>`;
}

export interface NamedCurve {
  readonly name: string;
  readonly curve: SurvivalCurve;
}

const [TOP, HEIGHT] = [4, 232];

/** Kaplan-Meier curves on one axis: steps, the interval of the first as a band, ticks where attempts were censored. */
export function survivalChart(curves: readonly NamedCurve[]): Html {
  const most = Math.max(1, ...curves.flatMap(({ curve }) => curve.steps.map(({ time }) => time))) * 1.03;
  const ticks = timeTicks(0, most, 6);
  const floor = floorOf(curves);
  const levels = [1, 0.75, 0.5, 0.25, 0].map((part) => ({ part, value: floor + part * (1 - floor) }));
  return html`<svg class="survival" height="${HEIGHT}" role="img" aria-label="Share of attempts that have not failed, by time">
${levels.map(({ part }) => html`<line class="grid" x1="0" x2="100%" y1="${share(1 - part)}" y2="${share(1 - part)}"/>`)}
${ticks.map((time) => html`<line class="grid" x1="${share(time / most)}" x2="${share(time / most)}" y1="0" y2="100%"/>`)}
<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" width="100%" height="100%">
${curves.map(({ curve }, index) => html`<path class="interval run${index}" d="${bandPath(curve, most, floor)}"/>`)}
${curves.map(({ curve }, index) => html`<path class="curve run${index}" d="${stepPath(curve, most, floor, ({ survival }) => survival)}"/><path class="censored run${index}" d="${censorPath(curve, most, floor)}"/>`)}
</svg>
${ticks.map((time, index) => html`<text x="${share(time / most)}" y="100%" dy="18" text-anchor="${index === 0 ? 'start' : 'middle'}">${index === 0 ? '0' : formatDuration(time)}</text>`)}
${levels.map(({ part, value }, index) => index % 2 === 0 && html`<text x="-8" y="${share(1 - part)}" dy="${TOP}" text-anchor="end">${Number((value * 100).toFixed(3))} %</text>`)}
</svg>`;
}

/** Returns the lower end of the axis: 0, or more where a rare failure would hardly be visible. */
function floorOf(curves: readonly NamedCurve[]): number {
  const lowest = Math.min(
    1,
    ...curves.flatMap(({ curve }) => curve.steps.map(({ survival, interval }) => Math.min(survival, interval[0]))),
  );
  return lowest > 0.5 && lowest < 1 ? Math.max(0, 1 - niceCeiling(1 - lowest)) : 0;
}

const x = (time: number, most: number) => Number(((time / most) * 1000).toFixed(1));
const y = (value: number, floor: number) => Number((((1 - value) / (1 - floor)) * 1000).toFixed(1));

function stepPath(
  { steps }: SurvivalCurve,
  most: number,
  floor: number,
  value: (step: SurvivalCurve['steps'][number]) => number,
): string {
  let [path, last] = [`M0 0`, 0];
  for (const step of steps) {
    const level = y(value(step), floor);
    if (level !== last) path += `H${x(step.time, most)}V${level}`;
    last = level;
  }
  return `${path}H${x(steps.at(-1)?.time ?? 0, most)}`;
}

function bandPath(curve: SurvivalCurve, most: number, floor: number): string {
  const end = x(curve.steps.at(-1)?.time ?? 0, most);
  const lower = [...curve.steps].toReversed();
  let path = stepPath(curve, most, floor, ({ interval }) => interval[1]);
  let level = y(lower[0]?.interval[0] ?? 1, floor);
  path += `H${end}V${level}`;
  for (const [index, step] of lower.entries()) {
    const before = y(lower[index + 1]?.interval[0] ?? 1, floor);
    if (before !== level) path += `H${x(step.time, most)}V${before}`;
    level = before;
  }
  return `${path}H0Z`;
}

/** A tick for each time at which attempts were censored; more than a few hundred would run together. */
function censorPath({ steps }: SurvivalCurve, most: number, floor: number): string {
  const seen = new Set<number>();
  return steps
    .filter(({ censored }) => censored > 0)
    .filter(({ time }) => !seen.has(Math.round(x(time, most) / 3)) && seen.add(Math.round(x(time, most) / 3)))
    .map(({ time, survival }) => `M${x(time, most)} ${Math.max(0, y(survival, floor) - 22)}v44`)
    .join('');
}
