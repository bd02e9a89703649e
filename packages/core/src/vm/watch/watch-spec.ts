import * as v from 'valibot';
import type { ConsolePattern } from '../../detect/declared/pattern-detector.js';
import { KERNEL_LOG_KINDS, type KernelLogKind } from '../../detect/kernel-log/kernel-log-finding.js';
import { parseDuration, type Duration } from '../../util/time/duration.js';
import { validate } from '../../util/validation/validate.js';
import type { CommandCheck } from './check-watch.js';

/** Detectors of a watch, and their options. */
export interface WatchSpec {
  /** Reports of the kernel on the serial console: all kinds (default), those named, or none. Hung tasks are among them. */
  readonly kernelLog?: boolean | readonly KernelLogKind[];
  /** `false` leaves hung-task reports out. Default true. */
  readonly hungTask?: boolean;
  /**
   * Threads in uninterruptible sleep; default off. Where no second console shell answers, the kernel is asked by SysRq-w
   * over QMP every 10 s, and prints its blocked tasks on the console.
   */
  readonly dState?:
    | boolean
    | {
        /** Names of threads or processes; default all. */
        readonly comm?: RegExp;
        /** How long without progress; default 10 s. */
        readonly for?: Duration;
        /** Between two samples; default 1 s. */
        readonly interval?: Duration;
      };
  /**
   * A console that prints nothing for this long (`true`: 60 s) is examined: when the console shell does not answer either,
   * a finding says whether the CPUs spin or idle, the kernel panicked, or QEMU does not run it. Default off.
   */
  readonly silence?: boolean | { readonly for: Duration };
  /** Patterns of your own for lines on the serial console. */
  readonly console?: readonly ConsolePattern[];
  /** Commands of your own that run in the guest at an interval, on the second console shell where there is one. */
  readonly checks?: readonly CommandCheck[];
}

const duration = v.custom<Duration>((value) => {
  try {
    parseDuration(value as Duration, '');
    return true;
  } catch {
    return false;
  }
}, "expected a duration such as '10s'");
const kind = v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,63}$/, 'expected a kind such as "data-loss"'));
const severity = v.picklist(['error', 'warning', 'info'], "expected 'error', 'warning' or 'info'");
const title = v.pipe(v.string(), v.regex(/^[^\u0000-\u001f\u007f-\u009f]+$/, 'expected one line of text'));
const pattern = v.instance(RegExp, 'expected a regular expression');

const SCHEMA = v.strictObject({
  kernelLog: v.optional(
    v.union(
      [v.boolean(), v.array(v.picklist(KERNEL_LOG_KINDS))],
      `expected true, false or an array of kinds of kernel reports (${KERNEL_LOG_KINDS.join(', ')})`,
    ),
  ),
  hungTask: v.optional(v.boolean()),
  dState: v.optional(
    v.union([
      v.boolean(),
      v.strictObject({ comm: v.optional(pattern), for: v.optional(duration), interval: v.optional(duration) }),
    ]),
  ),
  silence: v.optional(v.union([v.boolean(), v.strictObject({ for: duration })])),
  console: v.optional(v.array(v.strictObject({ kind, pattern, severity, title: v.optional(title) }))),
  checks: v.optional(
    v.array(
      v.strictObject({
        kind,
        command: v.pipe(v.string(), v.nonEmpty('expected a shell command')),
        every: v.optional(duration),
        severity: v.optional(severity),
        title: v.optional(title),
      }),
    ),
  ),
});

/** @throws {USAGE} naming the part of `spec` that is invalid */
export function checkWatchSpec(spec: WatchSpec, name: string): void {
  validate(SCHEMA, spec, name);
}
