/** `67 %`, `6.7 %`, `0.67 %`: two digits that count. */
export function percent(share: number): string {
  const value = share * 100;
  if (value === 0 || value === 100) return `${value} %`;
  // 99.96 is not all of them, and 0.001 is not none.
  if (value > 99) return `${Math.floor(value * 100) / 100} %`;
  return `${value >= 10 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toPrecision(2)} %`;
}

/** `12 and 77 %`, for "between". */
export function percentRange([low, high]: readonly [number, number]): string {
  return `${percent(low).replace(' %', '')} and ${percent(high)}`;
}

/** `850 ms`, `18.1 s`, `2:05 min`, `3:48 h`. */
export function duration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${two(seconds % 60)} min`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)}:${two(minutes % 60)} h`;
  return `${(minutes / 60 / 24).toFixed(1)} days`;
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
