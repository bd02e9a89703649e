/** When the bytes of a console came. */
export interface Timing {
  /** Times in ms and the offsets that they stand for, both never falling; the first offset is 0. */
  readonly at: readonly number[];
  readonly offset: readonly number[];
  /** There was no record: bytes are spread evenly over the attempt. */
  readonly guessed: boolean;
}

const GUESSED_STEPS = 400;

/** Reads console.timing: lines `MS OFFSET`. Values that do not rise, or are beyond the end, are left out. */
export function parseTiming(text: string, bytes: number, durationMs: number): Timing {
  const [at, offset]: [number[], number[]] = [[], []];
  for (const line of text.split('\n')) {
    const [, ms, from] = /^(\d{1,12}) (\d{1,12})$/.exec(line) ?? [];
    if (
      ms === undefined ||
      Number(from) >= bytes ||
      Number(from) < (offset.at(-1) ?? 0) ||
      Number(ms) < (at.at(-1) ?? 0)
    )
      continue;
    at.push(Number(ms));
    offset.push(at.length === 1 ? 0 : Number(from));
  }
  if (at.length > 0 || bytes === 0) return { at, offset, guessed: false };
  const steps = Math.min(GUESSED_STEPS, bytes);
  const each = Array.from({ length: steps }, (_, step) => step / steps);
  return {
    at: each.map((share) => Math.round(share * durationMs)),
    offset: each.map((share) => Math.floor(share * bytes)),
    guessed: true,
  };
}

/** The time of a byte. */
export function timeAt({ at, offset }: Timing, byte: number): number {
  return at[lastAtMost(offset, byte)] ?? 0;
}

/** The index of the last entry that is not above `value`; -1 when all are. */
export function lastAtMost(sorted: readonly number[], value: number): number {
  let [low, high] = [-1, sorted.length - 1];
  while (low < high) {
    const middle = Math.floor((low + high + 1) / 2);
    if ((sorted[middle] ?? 0) <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}
