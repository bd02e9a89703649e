import { isQmpilotError, QmpilotError } from '@qmpilot/core';
import { EXIT } from './exit-codes.js';
import { renderError } from './render/errors.js';

/** A scenario failed outside of any attempt: in `prepare`, by a timer or by a forgotten promise. That is no verdict, and no misuse of the command. */
export class ScenarioFailure extends QmpilotError {}

let current: AbortController | undefined;

/** Node.js would exit with 1 after an exception that nobody catches, and 1 says "reproduced" here. */
export function watchForUncaught(): void {
  const end = (how: string) => (error: unknown) => {
    const { name, message, stack } =
      error instanceof Error ? error : { name: 'thrown', message: String(error), stack: undefined };
    if (current) {
      current.abort(
        new ScenarioFailure('SCENARIO', `${how}: ${name}: ${message}`, {
          cause: error,
          evidence: { stderr: (stack ?? message).split('\n') },
          hint: 'await every promise in the scenario, and catch what its timers throw; --resume goes on with the run',
        }),
      );
      return;
    }
    process.stderr.write(renderError(error));
    process.exit(EXIT.cannotTell);
  };
  process.on('uncaughtException', end('the scenario left an exception uncaught'));
  process.on('unhandledRejection', end('the scenario left a rejected promise unhandled'));
}

/**
 * Gives `task` a signal that fires when something is caught by nobody, so that everything is put away in order; that is thrown then.
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
