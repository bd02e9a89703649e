import { SIGNAL_EXIT } from './exit-codes.js';

/** The reason of the abort signal after the first SIGINT, SIGTERM or SIGHUP. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.exitCode = SIGNAL_EXIT[signal] ?? 1;
  }
}

/**
 * Runs `task` with an abort signal that fires at the first SIGINT, SIGTERM or SIGHUP, so that it can clean up; the second one exits
 * at once, and the reaper cleans up the rest. `doing` describes the reaction to the first one, such as "stopping the VM".
 */
export async function interruptible<T>(
  doing: string,
  task: (signal: AbortSignal) => Promise<T>,
  say: (text: string) => void = (text) => void process.stderr.write(text),
): Promise<T> {
  const controller = new AbortController();
  const listeners = Object.keys(SIGNAL_EXIT).map((name) => {
    const signal = name as NodeJS.Signals;
    const onSignal = () => {
      if (controller.signal.aborted) process.exit(SIGNAL_EXIT[signal] ?? 1);
      say(`\nqmpilot: ${signal}: ${doing} (again to exit at once)\n`);
      controller.abort(new InterruptedError(signal));
    };
    process.on(signal, onSignal);
    return () => process.off(signal, onSignal);
  });
  try {
    return await task(controller.signal);
  } catch (error) {
    if (controller.signal.reason instanceof InterruptedError) throw controller.signal.reason;
    throw error;
  } finally {
    for (const remove of listeners) remove();
  }
}
