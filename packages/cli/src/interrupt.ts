import { SIGNAL_EXIT } from './exit-codes.js';

/** Thrown into what runs by the first signal. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.exitCode = SIGNAL_EXIT[signal] ?? 1;
  }
}

/**
 * Runs `task` with a signal that the first Ctrl-C, SIGTERM or SIGHUP fires, so that everything is put away in order; a second one
 * exits at once, and the reaper puts away the rest. `doing` is said at the first one: what it does, "ending the vm".
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
      say(`\nqmpilot: ${signal}: ${doing}; once more to exit at once\n`);
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
