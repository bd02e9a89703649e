import { formatRateGoal, parseRateGoal, type RateGoal } from '../../statistics/rate-goal.js';
import { SequentialTest, type Decision } from '../../statistics/sequential-test.js';
import type { RunInput } from './input.js';

/** The result of the goal at which the run should stop. */
export interface GoalResult {
  readonly goal: string;
  readonly decision: Decision;
  /** When it is open: how many more clean attempts would decide it. */
  readonly cleanAttemptsLeft: number | null;
  readonly confidence: number;
}

/** Null for a run without a goal, or one that cannot be read. */
export function goalResult({ run, attempts }: Pick<RunInput, 'run' | 'attempts'>): GoalResult | null {
  const goal = run.until === undefined ? null : readGoal(run.until);
  if (goal === null) return null;
  const test = new SequentialTest(goal);
  // In the order of their numbers, for which the error rates of the test hold.
  for (const { outcome } of attempts) if (outcome !== 'inconclusive') test.push(outcome === 'reproduced');
  return {
    goal: formatRateGoal(goal),
    decision: test.decision,
    cleanAttemptsLeft: test.attemptsLeft('clean'),
    confidence: goal.confidence,
  };
}

function readGoal(text: string): RateGoal | null {
  try {
    return parseRateGoal(text);
  } catch {
    return null;
  }
}

export function goalSentence({ goal, decision, cleanAttemptsLeft, confidence }: GoalResult): string {
  const error = `wrong in at most ${Number(((1 - confidence) * 100).toPrecision(6))} % of runs`;
  if (decision === 'holds') return `Its goal, ${goal}, holds (sequential test, ${error}).`;
  if (decision === 'refuted') return `Its goal, ${goal}, is refuted (sequential test, ${error}).`;
  return `Its goal, ${goal}, is still open${cleanAttemptsLeft === null ? '' : `: ${cleanAttemptsLeft} clean attempts in a row would decide it`}.`;
}
