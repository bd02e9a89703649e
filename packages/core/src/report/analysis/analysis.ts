import type { Finding, Severity } from '../../detect/finding.js';
import type { AttemptRecord } from '../../run-files/attempt-record.js';
import { cleanAttemptsNeededAfter } from '../../statistics/attempts-needed.js';
import type { Count } from '../../statistics/count.js';
import { kaplanMeier, type SurvivalCurve } from '../../statistics/kaplan-meier.js';
import { median } from '../../statistics/median.js';
import { wilsonInterval } from '../../statistics/wilson.js';
import type { RunInput } from './input.js';

/** One kind of failure over all attempts. */
export interface FailureGroup {
  readonly signature: string;
  /** Of the first time it was seen; `example` has all of that one. */
  readonly title: string;
  readonly kind: string;
  readonly severity: Severity;
  readonly attempts: readonly number[];
  /** When it was first seen in an attempt: the median, in ms. */
  readonly medianAt: number | null;
  readonly example: Finding;
  readonly exampleAttempt: number;
}

/** The numbers of a run. */
export interface RunAnalysis extends Count {
  readonly total: number;
  readonly clean: number;
  readonly inconclusive: number;
  readonly rate: number | null;
  /** 95 %, Wilson. */
  readonly interval: readonly [number, number] | null;
  /** When nothing failed: the rate that this many clean attempts leave possible at 95 %, one-sided and exact. */
  readonly upperBound: number | null;
  readonly survival: SurvivalCurve;
  readonly timesToFailure: readonly number[];
  readonly medianTimeToFailure: number | null;
  /** Time spent on attempts, restores included, for each failure; null without one. */
  readonly timePerFailure: number | null;
  readonly meanAttemptMs: number | null;
  /** Clean attempts that would show, against this run, that the rate has gone down: Fisher, two-sided, 95 %. Null without a failure. */
  readonly cleanToShowFix: number | null;
  readonly groups: readonly FailureGroup[];
  /** Reasons why attempts were inconclusive, with their number. */
  readonly reasons: readonly { readonly reason: string; readonly attempts: readonly number[] }[];
}

const SEVERITIES: readonly Severity[] = ['error', 'warning', 'info'];

/** Rates, survival and failures of one run. */
export function analyze({ attempts }: Pick<RunInput, 'attempts'>): RunAnalysis {
  const of = (outcome: AttemptRecord['outcome']) => attempts.filter((attempt) => attempt.outcome === outcome);
  const [reproduced, clean, inconclusive] = [of('reproduced'), of('clean'), of('inconclusive')];
  const told = reproduced.length + clean.length;
  const interval = wilsonInterval(reproduced.length, told);
  const times = reproduced
    .map(({ timeToFailureMs, ms }) => timeToFailureMs ?? ms)
    .toSorted((one, other) => one - other);
  const spent = [...reproduced, ...clean].reduce((sum, { ms, restoreMs }) => sum + ms + restoreMs, 0);
  return {
    total: attempts.length,
    failures: reproduced.length,
    attempts: told,
    clean: clean.length,
    inconclusive: inconclusive.length,
    rate: told === 0 ? null : reproduced.length / told,
    interval,
    upperBound: told > 0 && reproduced.length === 0 ? -Math.expm1(Math.log(0.05) / told) : null,
    survival: kaplanMeier([
      ...reproduced.map(({ timeToFailureMs, ms }) => ({ time: timeToFailureMs ?? ms, failed: true })),
      ...clean.map(({ ms }) => ({ time: ms, failed: false })),
    ]),
    timesToFailure: times,
    medianTimeToFailure: median(times),
    timePerFailure: reproduced.length === 0 ? null : spent / reproduced.length,
    meanAttemptMs: told === 0 ? null : spent / told,
    cleanToShowFix:
      reproduced.length === 0 ? null : cleanAttemptsNeededAfter({ failures: reproduced.length, attempts: told }, 0.95),
    groups: groupFailures(attempts),
    reasons: groupReasons(inconclusive),
  };
}

function groupFailures(attempts: readonly AttemptRecord[]): FailureGroup[] {
  const groups = new Map<string, { example: Finding; exampleAttempt: number; attempts: number[]; at: number[] }>();
  for (const { index, findings } of attempts) {
    for (const finding of findings) {
      const group = groups.get(finding.signature) ?? { example: finding, exampleAttempt: index, attempts: [], at: [] };
      groups.set(finding.signature, group);
      if (group.attempts.at(-1) !== index) {
        group.attempts.push(index);
        group.at.push(finding.at);
      }
      // The kernel may print the trace only the second time, or in another attempt.
      if (!group.example.stack?.length && finding.stack?.length)
        Object.assign(group, { example: finding, exampleAttempt: index });
    }
  }
  return [...groups]
    .map(([signature, { example, exampleAttempt, attempts: seen, at }]) => ({
      signature,
      title: example.title,
      kind: example.kind,
      severity: example.severity,
      attempts: seen,
      medianAt: median(at),
      example,
      exampleAttempt,
    }))
    .toSorted(
      (one, other) =>
        rank(one.severity) - rank(other.severity) ||
        other.attempts.length - one.attempts.length ||
        (one.medianAt ?? 0) - (other.medianAt ?? 0) ||
        compare(one.signature, other.signature),
    );
}

const rank = (severity: Severity) => SEVERITIES.indexOf(severity);
const compare = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0);

function groupReasons(inconclusive: readonly AttemptRecord[]): RunAnalysis['reasons'] {
  const reasons = new Map<string, number[]>();
  for (const { reason = 'no reason was kept', index } of inconclusive)
    reasons.set(reason, [...(reasons.get(reason) ?? []), index]);
  return [...reasons]
    .map(([reason, attempts]) => ({ reason, attempts }))
    .toSorted((one, other) => other.attempts.length - one.attempts.length);
}
