import { isQmpilotError } from '@qmpilot/core';
import { EXIT } from './exit-codes.js';
import { ScenarioFailure } from './scenario-failure.js';

let current: AbortController | undefined;

/** Node.js exits with 1 after an uncaught exception, which would mean "reproduced" here. */
export function watchForUncaught(): void {
  const end = (how: string) => (error: unknown) => {
    const { name, message, stack } =
      error instanceof Error ? error : { name: 'thrown', message: String(error), stack: undefined };
    if (current) {
      current.abort(
        new ScenarioFailure('SCENARIO', `${how}: ${name}: ${message}`, {
          cause: error,
          evidence: { stderr: (stack ?? message).split('\n') },
          hint: 'await every promise in the scenario, and catch errors in its timers; --resume continues the run',
        }),
      );
      return;
    }
    void import('./render/errors.js')
      .then(({ printError }) => printError(error))
      .finally(() => process.exit(EXIT.cannotTell));
  };
  process.on('uncaughtException', end('uncaught exception in the scenario'));
  process.on('unhandledRejection', end('unhandled promise rejection in the scenario'));
}

/**
 * Runs `task` with a signal that fires at an uncaught error, so that it can clean up; then throws that error.
 * @throws {ScenarioFailure}
 */
export async function unlessUncaught<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  current = controller;
  try {
    return await task(controller.signal);
  } catch (error) {
    if (controller.signal.aborted) throw controller.signal.reason;
    if (!isQmpilotError(error, 'SCENARIO')) throw error;
    throw new ScenarioFailure('SCENARIO', error.message, {
      cause: error.cause,
      evidence: error.evidence,
      ...(error.hint !== undefined && { hint: error.hint }),
    });
  } finally {
    current = undefined;
  }
}
