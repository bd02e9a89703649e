import * as v from 'valibot';
import type { WaitOptions } from '../async/deadline.js';
import { parseDuration, type Duration } from '../time/duration.js';

/** Schemas of options that many functions take. */
export const DURATION = v.custom<Duration>(
  (value) => isDuration(value),
  "expected a duration: milliseconds, or a number with a unit such as '90s' or '3m'",
);
const SIGNAL = v.instance(AbortSignal, 'expected an AbortSignal');
export const PATH = v.custom<string>(
  (value) => typeof value === 'string' && value !== '' && !value.includes('\0'),
  'expected a path',
);
export const PATTERN = v.custom<string | RegExp>(
  (value) => value instanceof RegExp || (typeof value === 'string' && value !== ''),
  'expected a text or a regular expression',
);
/** A text that may be empty. */
export const TEXT = v.string('expected a text');
export const CPUS = wholeNumber(1);
/** QEMU's firmware needs this much. */
export const MEMORY_MIB = wholeNumber(16);
export const PORT = v.custom<number>(
  (value) => typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535,
  'expected a port, 1 to 65535',
);
export const NETWORK = v.picklist(['none', 'restricted', 'user']);
export const DISPLAY = v.picklist(['none', 'std']);

/** The entries of `WaitOptions`. */
export const WAIT = {
  signal: v.optional(SIGNAL),
  timeout: v.optional(DURATION),
  patience: v.optional(DURATION),
} satisfies Record<keyof WaitOptions, v.GenericSchema>;

/** `WaitOptions` and nothing else. */
export const WAIT_OPTIONS = v.strictObject(WAIT);

/** A whole number of at least `min`, and at most `max`. */
export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER) {
  return v.custom<number>(
    (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max,
    `expected a whole number ${max === Number.MAX_SAFE_INTEGER ? `of ${min} or more` : `from ${min} to ${max}`}`,
  );
}

function isDuration(value: unknown): boolean {
  if (typeof value !== 'number' && typeof value !== 'string') return false;
  try {
    parseDuration(value);
    return true;
  } catch {
    return false;
  }
}
