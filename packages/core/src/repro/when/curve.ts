import type { AttemptRecord } from '../../run-files/attempt-record.js';
import type { WhenPoint } from '../../run-files/when-file.js';
import { wilsonInterval } from '../../statistics/wilson.js';
import type { WhenInput } from './when-input.js';
import type { WhenFork } from './when-journal.js';

/** The probability at the beginning of all attempts, at each checkpoint, and at the failure. */
export function curveOf(
  { start, checkpoints, failure }: Pick<WhenInput, 'start' | 'checkpoints' | 'failure'>,
  forks: readonly WhenFork[],
): WhenPoint[] {
  const point = (failures: number, attempts: number, inconclusive = 0) => ({
    failures,
    attempts,
    inconclusive,
    probability: attempts > 0 ? failures / attempts : null,
    interval: wilsonInterval(failures, attempts),
  });
  return [
    { place: 'start', at: 0, ...point(start.failures, start.attempts) },
    ...checkpoints.list.map(({ number, at, mark }): WhenPoint => {
      const of = (outcome: WhenFork['outcome']) =>
        forks.filter((fork) => fork.checkpoint === number && fork.outcome === outcome).length;
      const counts = point(of('reproduced'), of('reproduced') + of('clean'), of('inconclusive'));
      return { place: 'checkpoint', number, at, ...(mark !== undefined && { mark }), ...counts };
    }),
    { place: 'failure', at: failure.at, ...point(0, 0), probability: 1 },
  ];
}

/** A fork: its checkpoint, and its number among the forks of that checkpoint, from 0. */
export type ForkName = Pick<WhenFork, 'checkpoint' | 'ordinal'>;

const FORKS_OF_A_CHECKPOINT = 1_000_000;

/** Returns the number by which a queue knows a fork: 3000012 is the twelfth of checkpoint 3. */
export function indexOfFork({ checkpoint, ordinal }: ForkName): number {
  return checkpoint * FORKS_OF_A_CHECKPOINT + ordinal + 1;
}

/** Returns the fork with this number. */
export function forkOfIndex(index: number): ForkName {
  const checkpoint = Math.floor((index - 1) / FORKS_OF_A_CHECKPOINT);
  return { checkpoint, ordinal: index - 1 - checkpoint * FORKS_OF_A_CHECKPOINT };
}

/** Identifies a fork by its checkpoint and number. */
export function keyOf({ checkpoint, ordinal }: ForkName): string {
  return `${checkpoint} ${ordinal}`;
}

/** What the journal keeps of the attempt of a fork. */
export function recordOf(
  { outcome, ms, seed, timeToFailureMs, findings, reason }: AttemptRecord,
  name: ForkName,
): WhenFork {
  const first = findings.find(({ severity }) => severity === 'error');
  return {
    v: 1,
    type: 'fork',
    ...name,
    outcome,
    ms,
    seed,
    ...(timeToFailureMs !== undefined && { timeToFailureMs }),
    ...(first && { signature: first.signature, title: first.title }),
    ...(reason !== undefined && { reason }),
  };
}
