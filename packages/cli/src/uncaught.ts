import { QmpilotError } from '@qmpilot/core';
import { EXIT } from './exit-codes.js';
import { renderError } from './render/errors.js';

/** What was thrown outside of any attempt, by a timer or a forgotten promise of a scenario. */
export class UncaughtError extends QmpilotError {}

let current: AbortController | undefined;

/** Node.js would exit with 1 after an exception that nobody catches, and 1 says "reproduced" here. */
export function watchForUncaught(): void {
  const end = (how: string) => (error: unknown) => {
    const { name, message, stack } = error instanceof Error ? error : { name: 'thrown', message: String(error), stack: undefined };
    if (current) {
      current.abort(
        new UncaughtError('SCENARIO', `${how}: ${name}: ${message}`, {
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

/** Gives `task` a signal that fires when something is caught by nobody, so that everything is put away in order; that is thrown then. */
export async function unlessUncaught<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  current = controller;
  try {
    return await task(controller.signal);
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    current = undefined;
  }
}
