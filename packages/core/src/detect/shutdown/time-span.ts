/** Units of systemd's format_timespan(), src/basic/time-util.c, in ms. */
const UNITS: Readonly<Record<string, number>> = {
  y: 31_557_600_000,
  month: 2_629_800_000,
  w: 604_800_000,
  d: 86_400_000,
  h: 3_600_000,
  min: 60_000,
  s: 1000,
  ms: 1,
  us: 0.001,
};
const PART = /^(\d{1,9}(?:\.\d{1,6})?)(y|month|w|d|h|min|s|ms|us|μs)$/;

/** `2min 10s` in ms; `undefined` for `infinity`, `no limit` and what is not a time span. */
export function parseTimeSpan(text: string): number | undefined {
  const parts = text.trim().split(/ +/);
  if (parts.length > 8) return undefined;
  let total = 0;
  for (const part of parts) {
    if (part === '0') continue;
    const match = PART.exec(part);
    const unit = UNITS[(match?.[2] ?? '').replace('μ', 'u')];
    if (match === null || unit === undefined) return undefined;
    total += Number(match[1]) * unit;
  }
  return total;
}

/** Milliseconds as systemd shows them, to the second: `2min 10s`. */
export function formatTimeSpan(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const parts = [
    { value: Math.floor(seconds / 3600), unit: 'h' },
    { value: Math.floor(seconds / 60) % 60, unit: 'min' },
    { value: seconds % 60, unit: 's' },
  ].filter(({ value }) => value > 0);
  return parts.length === 0 ? '0s' : parts.map(({ value, unit }) => `${value}${unit}`).join(' ');
}
