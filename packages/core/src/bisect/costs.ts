import type { StepCosts } from '../statistics/bisection/choice.js';
import type { AttemptsLine, BuildLine } from './journal.js';

/** What steps cost is learnt from those before, in ms. */
export function learnCosts(past: readonly (AttemptsLine | BuildLine)[], good: string): StepCosts {
  const builds = past.filter((line) => line.type === 'build');
  const series = past.filter((line) => line.type === 'attempts');
  const built = new Set(builds.filter(({ id }) => id !== undefined).map(({ commit }) => commit));
  const ready = new Set(series.filter(({ cached }) => cached).map(({ commit }) => commit));
  const attempts = series.reduce((sum, line) => sum + line.attempts.length, 0);
  const build = mean(builds.filter(({ id }) => id !== undefined).map(({ ms }) => ms));
  const boot = mean(series.flatMap(({ bootMs }) => (bootMs === undefined ? [] : [bootMs])));
  const attempt = series.reduce((sum, line) => sum + line.attemptsMs, 0) / Math.max(attempts, 1);
  return {
    attempt: Math.max(attempt, 1),
    prepare: (commit = good) => (ready.has(commit) ? 0 : boot + (built.has(commit) ? 0 : build)),
  };
}

/** Time of builds and attempts, in ms: that of builds during attempts counts once. */
export function elapsedMs(past: readonly (AttemptsLine | BuildLine)[]): number {
  return past.reduce((sum, line) => sum + line.ms - (line.type === 'build' ? (line.aheadMs ?? 0) : 0), 0);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);
}
