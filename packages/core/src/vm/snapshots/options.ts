import * as v from 'valibot';
import type { SnapshotStrategy } from '../../snapshot/strategies/strategy.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { WAIT, wholeNumber } from '../../util/validation/schemas.js';

export interface SnapshotOptions extends WaitOptions {
  /** Default: the fastest that this machine allows; the snapshot says which, and why. */
  readonly strategy?: SnapshotStrategy;
  /**
   * Allows the guest, and those that are restored from the snapshot, to reboot although they boot by `-kernel`: each QEMU then
   * reads kernel and initrd and holds them, 16 MiB for Debian's. Default false; a guest that boots from its disk can always reboot.
   */
  readonly reboots?: boolean;
}

export interface RestoreOptions extends WaitOptions {
  /**
   * `host` (default) sets the guest's clock to the host's as soon as its second shell answers, which `vm.reseeded` awaits; a date
   * sets it to that; `keep` leaves it as it was.
   */
  readonly clock?: 'host' | 'keep' | Date;
}

export interface BeginOptions extends RestoreOptions {
  /** `vm.seed` of the guest, a whole number below 2^48. Default: a random one. */
  readonly seed?: number | undefined;
}

export interface ForkOptions extends RestoreOptions {
  /** Absent: one fork. */
  readonly count?: undefined;
}

export interface ForkManyOptions extends RestoreOptions {
  /** Number of forks: they are returned as an array. */
  readonly count: number;
}

const CLOCK = v.lazy((value) =>
  value instanceof Date
    ? v.custom<Date>((date) => date instanceof Date && !Number.isNaN(date.getTime()), 'expected a valid date')
    : v.picklist(['host', 'keep'], 'expected "host", "keep" or a date'),
);
const RESTORE = { ...WAIT, clock: v.optional(CLOCK) } satisfies Record<keyof RestoreOptions, v.GenericSchema>;

export const SNAPSHOT_OPTIONS = v.strictObject({
  ...WAIT,
  strategy: v.optional(v.picklist(['template', 'file', 'internal'])),
  reboots: v.optional(v.boolean()),
} satisfies Record<keyof SnapshotOptions, v.GenericSchema>);
export const RESTORE_OPTIONS = v.strictObject(RESTORE);
export const FORK_OPTIONS = v.strictObject({ ...RESTORE, count: v.optional(wholeNumber(0)) });
