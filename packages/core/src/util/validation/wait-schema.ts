import * as v from 'valibot';
import { parseDuration, type Duration } from '../time/duration.js';
import { validate } from './validate.js';

function isDuration(value: unknown): boolean {
  if (typeof value !== 'number' && typeof value !== 'string') return false;
  try {
    parseDuration(value);
    return true;
  } catch {
    return false;
  }
}

const DURATION = v.custom<Duration>(isDuration, "expected milliseconds or a duration such as '90s'");

/** The entries of `WaitOptions`, for the schema of a function's options. */
export const WAIT_ENTRIES = {
  signal: v.optional(v.instance(AbortSignal, 'expected an AbortSignal')),
  timeout: v.optional(DURATION),
} as const;

/** Checks options that may hold limits of our own as well. @throws {USAGE} */
export function validateOptions(schema: v.GenericSchema, options: unknown, name: string): void {
  if (typeof options !== 'object' || options === null || !('patience' in options))
    return validate(schema, options, name);
  const { patience: _patience, ...rest } = options;
  validate(schema, rest, name);
}
