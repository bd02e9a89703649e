import { formatPercent } from '../../util/text/format.js';

/** `12 and 77 %`, for "between". */
export function percentRange([low, high]: readonly [number, number]): string {
  return `${formatPercent(low).replace(' %', '')} and ${formatPercent(high)}`;
}

/** `0.0034`, `2.1 x 10^-7` as text. */
export function probability(p: number): string {
  if (p >= 0.995) return '1';
  if (p >= 0.001) return Number(p.toPrecision(2)).toString();
  if (p <= 0) return '0';
  const exponent = Math.floor(Math.log10(p));
  return `${(p / 10 ** exponent).toFixed(1)} × 10${superscript(exponent)}`;
}

/** `1 attempt`, `12 attempts`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en-US').replaceAll(',', '\u202f')} ${count === 1 ? one : many}`;
}

/** `attempt 3`, `attempts 1–3, 7`. */
export function attemptList(sorted: readonly number[], most?: number): string {
  return `${sorted.length === 1 ? 'attempt' : 'attempts'} ${ranges(sorted, most)}`;
}

/** `24 Nov 2026, 20:10 UTC`; the text itself when it is not a date. */
export function date(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()}, ${two(at.getUTCHours())}:${two(at.getUTCMinutes())} UTC`;
}

/** `1-3, 7, 9-12`; after `most` ranges the rest is left out. */
export function ranges(sorted: readonly number[], most = 12): string {
  const parts: [number, number][] = [];
  for (const value of sorted) {
    const last = parts.at(-1);
    if (last && value === last[1] + 1) last[1] = value;
    else parts.push([value, value]);
  }
  const shown = parts.slice(0, most).map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`));
  return `${shown.join(', ')}${parts.length > most ? ', …' : ''}`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (value: number) => String(value).padStart(2, '0');
const superscript = (value: number) =>
  [...String(value)].map((digit) => (digit === '-' ? '⁻' : '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)])).join('');
