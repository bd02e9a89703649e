/** The part of an attempt's time that is looked at. */
export interface View {
  readonly from: number;
  readonly to: number;
}

const LEAST_MS = 50;

/** Shows `factor` times as much, with the moment `around` where it was; never beyond 0 and `end`. */
export function zoomed({ from, to }: View, factor: number, around: number, end: number): View {
  const length = Math.min(end, Math.max(LEAST_MS, (to - from) * factor));
  const share = to > from ? (around - from) / (to - from) : 0.5;
  return within(around - share * length, length, end);
}

export function panned({ from, to }: View, byMs: number, end: number): View {
  return within(from + byMs, to - from, end);
}

function within(from: number, length: number, end: number): View {
  const start = Math.min(Math.max(0, from), Math.max(0, end - length));
  return { from: start, to: start + length };
}

/** `18.1 s`, `1:05.0`; finer when the view is short. */
export function clock(ms: number, viewMs = Infinity): string {
  const digits = viewMs < 2000 ? 3 : viewMs < 20_000 ? 2 : 1;
  if (ms < 60_000) return `${(ms / 1000).toFixed(digits)} s`;
  const minutes = Math.floor(ms / 60_000);
  return `${minutes}:${((ms - minutes * 60_000) / 1000).toFixed(digits).padStart(digits + 3, '0')}`;
}
