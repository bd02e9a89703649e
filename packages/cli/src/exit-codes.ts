import { isQmpilotError, type ErrorCode } from '@qmpilot/core';
import { ScenarioFailure } from './uncaught.js';

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
