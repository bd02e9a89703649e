import type { WhenPoint, WhenResult } from '../../run-files/when-file.js';
import { formatDuration, formatPercent } from '../../util/text/format.js';
import { safeLine } from '../../util/text/text-hygiene.js';

/** The answer in one sentence. */
export function whenSentence(result: WhenResult): string {
  const { verdict, points, rise } = result;
  const from = rise && points[rise.from];
  const to = rise && points[rise.to];
  if (verdict === 'decided') {
    const first = points.find(({ attempts, place }) => place === 'checkpoint' && attempts > 0);
    return first === undefined
      ? 'The failure is decided before the first checkpoint.'
      : `The failure is decided before the first checkpoint, at ${formatDuration(first.at)}: ${formatPercent(first.probability ?? 1)} of its forks fail, as at the last one.`;
  }
  if (!from || !to) return 'No rise of the probability was found: too few forks came to a verdict.';
  const range = `${chance(from)} to ${chance(to)}`;
  const between = `between ${timeOf(from)} and ${timeOf(to)} the probability rises from ${range}`;
  return verdict === 'confirmed' ? `${capital(between)}.` : `Not confirmed: ${between} in the forks so far.`;
}

/** The kind of a point and its mark, such as `checkpoint 4 (after mount)`. */
export function placeOf({ place, number, mark }: WhenPoint): string {
  if (place === 'start') return 'begin of all attempts';
  if (place === 'failure') return 'failure found';
  return `checkpoint ${number}${mark === undefined ? '' : ` (${safeLine(mark)})`}`;
}

/** `8 %, 3.3 to 19 %` and the like; `-` for a checkpoint without forks. */
export function chanceWithBand(point: WhenPoint): string {
  const { interval } = point;
  return `${chance(point)}${interval === null ? '' : ` (${percent(interval[0])} to ${formatPercent(interval[1])})`}`;
}

/** What the probability was measured by. */
export function basisOf({ place, failures, attempts, inconclusive }: WhenPoint): string {
  if (place === 'failure') return '';
  const noun = place === 'start' ? 'attempts of the run' : 'forks';
  const none = inconclusive > 0 ? `, ${inconclusive} without a verdict` : '';
  return attempts === 0 && inconclusive === 0 ? '' : `${failures} of ${attempts} ${noun}${none}`;
}

/** Those points of the curve that were measured. */
export function measuredPoints({ points }: WhenResult): WhenPoint[] {
  return points.filter(({ place, attempts, inconclusive }) => place !== 'checkpoint' || attempts + inconclusive > 0);
}

function chance({ probability }: WhenPoint): string {
  return probability === null ? '-' : formatPercent(probability);
}

function timeOf({ place, at }: WhenPoint): string {
  return place === 'start' ? 'the beginning' : formatDuration(at);
}

function percent(share: number): string {
  return formatPercent(share).replace(' %', '');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
