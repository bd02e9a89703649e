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

const DISTANCES = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 12e5, 18e5, 36e5, 72e5,
];

/** Round times within the view, at most `most` of them. */
export function ticksOf({ from, to }: View, most: number): number[] {
  const distance = DISTANCES.find((one) => (to - from) / one <= most) ?? (to - from) / most;
  const first = Math.ceil(from / distance);
  return Array.from({ length: Math.floor(to / distance) - first + 1 }, (_, index) => (first + index) * distance);
}

/** `18.1 s`, `1:05.0`; finer when the view is short. */
export function clock(ms: number, viewMs = Infinity): string {
  const digits = viewMs < 2000 ? 3 : viewMs < 20_000 ? 2 : 1;
  if (ms < 60_000) return `${(ms / 1000).toFixed(digits)} s`;
  const minutes = Math.floor(ms / 60_000);
  return `${minutes}:${((ms - minutes * 60_000) / 1000).toFixed(digits).padStart(digits + 3, '0')}`;
}
