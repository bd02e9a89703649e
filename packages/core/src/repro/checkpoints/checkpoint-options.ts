import * as v from 'valibot';
import { QmpilotError } from '../../errors.js';
import type { CheckpointSettings } from '../../run-files/run-file.js';
import { parseDuration, type Duration } from '../../util/time/duration.js';
import { DURATION, wholeNumber } from '../../util/validation/schemas.js';

/** The snapshots that are kept along each attempt of a run. */
export interface CheckpointOptions {
  /** Time between two, from 100 ms on; longer in an attempt that lasts longer than `most` of it. Default: only where the scenario calls `checkpoint()`. */
  readonly every?: Duration | undefined;
  /** Of one attempt, at most; those in between are dropped then, so that the others cover all of it. Default 32. */
  readonly most?: number | undefined;
  /** What those of one attempt may take together, in MiB of memory and disk. Default 1024. */
  readonly mebibytes?: number | undefined;
  /** Number of failing attempts of the run whose checkpoints are kept, in its directory; more when several fail at the same time. Default 1. */
  readonly attempts?: number | undefined;
}

/** A time between two checkpoints; `'marks'`, for those of the scenario alone; or all options. */
export type CheckpointsOption = Duration | CheckpointOptions;

const LEAST_MS = 100;

export const CHECKPOINTS = v.lazy((value) =>
  value === 'marks'
    ? v.literal('marks')
    : typeof value === 'object' && value !== null
      ? v.strictObject({
          every: v.optional(DURATION),
          most: v.optional(wholeNumber(2)),
          mebibytes: v.optional(wholeNumber(1)),
          attempts: v.optional(wholeNumber(1)),
        } satisfies Record<keyof CheckpointOptions, v.GenericSchema>)
      : DURATION,
);

/** Completes checked options. @throws {USAGE} for a time below 100 ms */
export function checkpointSettings(given: CheckpointsOption): CheckpointSettings {
  const options = typeof given === 'object' ? given : given === 'marks' ? {} : { every: given };
  const { every, most = 32, mebibytes = 1024, attempts = 1 } = options;
  const everyMs = every === undefined ? undefined : parseDuration(every, 'checkpoints');
  if (everyMs !== undefined && everyMs < LEAST_MS)
    throw new QmpilotError('USAGE', `invalid checkpoints: ${everyMs} ms are less than ${LEAST_MS} ms`, {
      hint: 'a checkpoint pauses the guest for some 80 ms',
    });
  return { ...(everyMs !== undefined && { everyMs }), most, mebibytes, attempts };
}
