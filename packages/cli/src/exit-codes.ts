import { isQmpilotError, type ErrorCode, type RunSummary } from '@qmpilot/core';
import { ScenarioFailure } from './scenario-failure.js';

/** Exit statuses, as `git bisect run` expects them. */
export const EXIT = { fine: 0, found: 1, usage: 2, cannotTell: 125 } as const;

/** Errors of the call itself: correct the command, the names in it or the scenario. */
const USAGE_CODES: ReadonlySet<ErrorCode> = new Set(['USAGE', 'SCENARIO', 'NOT_FOUND', 'ALREADY_EXISTS']);

/** 128 plus the number of the signal, as in shells. */
export const SIGNAL_EXIT: Readonly<Partial<Record<NodeJS.Signals, number>>> = {
  SIGHUP: 129,
  SIGINT: 130,
  SIGTERM: 143,
};

export function exitCodeOf(error: unknown): number {
  if (error instanceof ScenarioFailure) return EXIT.cannotTell;
  return isQmpilotError(error) && USAGE_CODES.has(error.code) ? EXIT.usage : EXIT.cannotTell;
}

/** Exit status of `repro`: an attempt that threw is never "good" to `git bisect run`. */
export function exitCodeOfRun({
  reproduced,
  clean,
  threw,
  goal,
}: Pick<RunSummary, 'reproduced' | 'clean' | 'threw' | 'goal'>): number {
  // A thrown error may be the failure: git bisect must not take the commit for good.
  if (threw > 0 && reproduced === 0) return EXIT.cannotTell;
  if (goal) {
    if (goal.decision === 'open') return EXIT.cannotTell;
    // A rate above the limit means the bug is there, in whichever direction the goal is written.
    return (goal.decision === 'holds') === goal.goal.startsWith('rate>') ? EXIT.found : EXIT.fine;
  }
  if (reproduced > 0) return EXIT.found;
  return clean > 0 ? EXIT.fine : EXIT.cannotTell;
}
