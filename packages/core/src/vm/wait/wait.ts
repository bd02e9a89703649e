import * as v from 'valibot';
import type { Console } from '../../console/console.js';
import { QmpilotError } from '../../errors.js';
import type { Command, ExecOptions } from '../../shell/exec-options.js';
import type { ExecResult } from '../../shell/exec-result.js';
import { awaitWithin, poll, type WaitOptions } from '../../util/async/deadline.js';
import { parseDuration, type Duration } from '../../util/time/duration.js';
import { DURATION, WAIT } from '../../util/validation/schemas.js';

/** Runs commands in the guest; every `Shell` has it. */
export interface CommandRunner {
  /** Runs a command to its end. */
  exec(command: Command, options?: ExecOptions): Promise<ExecResult>;
}

/** The parts of a VM that the probes of waits use. */
export interface WaitTarget {
  readonly console: Console;
  /** Rejects or resolves to nothing else than why the VM ended. */
  readonly ended: Promise<QmpilotError>;
  /** The shell for short commands of the waits themselves: no long command of the user occupies it. */
  readonly probeShell: () => CommandRunner;
  /** Runs a command of the user, on any console that is free. */
  readonly commands: CommandRunner;
}

/** Result of one probe: the awaited value, or what was there instead, in words, for the message of a timeout. */
export type WaitState<T> = { readonly met: true; readonly value: T } | { readonly met: false; readonly saw: string };

/**
 * A condition to wait for, as a value: `vm.waitFor` waits for it, `Wait.all` and `Wait.any` combine several. Make one by
 * `Wait.forUnit` and so on, or implement this interface.
 */
export interface Wait<T = unknown> {
  /** Names the condition in errors: `port 80 in the guest`. */
  readonly awaited: string;
  /**
   * Looks once, without waiting; the signal fires when the wait is over. An error ends the wait: the condition cannot be met any
   * more.
   */
  readonly probe: (target: WaitTarget, signal: AbortSignal) => Promise<WaitState<T>>;
}

/** How long a wait lasts and how often it looks. */
export interface WaitForOptions extends WaitOptions {
  /** Pause between two probes; default 200 ms. */
  readonly interval?: Duration | undefined;
}

/** The entries of `WaitForOptions`, for the schemas of functions that wait. */
export const WAIT_FOR = { ...WAIT, interval: v.optional(DURATION) } satisfies Record<
  keyof WaitForOptions,
  v.GenericSchema
>;

export const WAIT_SCHEMA = v.custom<Wait>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    typeof Reflect.get(value, 'awaited') === 'string' &&
    typeof Reflect.get(value, 'probe') === 'function',
  'expected a wait, such as Wait.forUnit(name)',
);

const DEFAULT_TIMEOUT = '1m';
const DEFAULT_INTERVAL_MS = 200;

/** Waits for a condition, and returns its value. */
export async function runWait<T>(target: WaitTarget, wait: Wait<T>, options: WaitForOptions = {}): Promise<T> {
  const interval = parseDuration(options.interval ?? DEFAULT_INTERVAL_MS, 'interval');
  let saw = 'nothing yet';
  const details = () => ({ evidence: { saw, console: target.console.lastLines(20) } });
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  return awaitWithin<T>(
    { awaited: wait.awaited, defaultTimeout: DEFAULT_TIMEOUT, details },
    options,
    (resolve, reject) => {
      void target.ended.then(reject);
      poll({ awaited: wait.awaited }, { signal, interval }, async (inner) => {
        const state = await wait.probe(target, inner);
        if (!state.met) saw = state.saw;
        return state.met ? { value: state.value } : undefined;
      }).then(({ value }) => resolve(value), reject);
      return () => stop.abort();
    },
  );
}
