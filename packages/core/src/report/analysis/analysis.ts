import type { AttemptRecord } from '../../run-files/attempt-record.js';
import { cleanAttemptsNeededAfter } from '../../statistics/attempts-needed.js';
import type { Count } from '../../statistics/count.js';
import { kaplanMeier, type SurvivalCurve } from '../../statistics/kaplan-meier.js';
import { median } from '../../statistics/median.js';
import { wilsonInterval } from '../../statistics/wilson.js';
import { groupFailures, type FailureGroup } from './failure-groups.js';
import type { RunInput } from './input.js';

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

function groupReasons(inconclusive: readonly AttemptRecord[]): RunAnalysis['reasons'] {
  const reasons = new Map<string, number[]>();
  for (const { reason = 'no reason was kept', index } of inconclusive)
    reasons.set(reason, [...(reasons.get(reason) ?? []), index]);
  return [...reasons]
    .map(([reason, attempts]) => ({ reason, attempts }))
    .toSorted((one, other) => other.attempts.length - one.attempts.length);
}
