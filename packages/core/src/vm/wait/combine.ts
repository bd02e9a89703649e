import * as v from 'valibot';
import { isQmpilotError } from '../../errors.js';
import { pause } from '../../util/async/deadline.js';
import { validate } from '../../util/validation/validate.js';
import { WAIT_SCHEMA, type Wait, type WaitState, type WaitTarget } from './wait.js';

/** Values of the waits in a tuple. */
export type WaitValues<W extends readonly Wait[]> = { [K in keyof W]: W[K] extends Wait<infer T> ? T : never };

/** Waits until all conditions are met in one round of probes; the value is the array of theirs. One that cannot be met any more ends the wait. */
export function all<const W extends readonly Wait[]>(...waits: W): Wait<WaitValues<W>> {
  checkWaits('all', waits);
  return {
    awaited: `all of: ${waits.map(({ awaited }) => awaited).join('; ')}`,
    async probe(target, signal) {
      const states = await Promise.all(waits.map((wait) => wait.probe(target, signal)));
      const missing = states.flatMap((state, index) => (state.met ? [] : [`${waits[index]?.awaited}: ${state.saw}`]));
      if (missing.length > 0) return { met: false, saw: missing.join('; ') };
      return { met: true, value: states.map((state) => (state.met ? state.value : undefined)) as WaitValues<W> };
    },
  };
}

/** Pause between two looks at the other conditions, while one look takes long. */
const AGAIN_MS = 200;

/**
 * Waits until one of the conditions is met; the value has its index and its value. A condition that cannot be met any more is
 * left out; the wait ends when none is left. A command that hangs does not keep the other conditions from being met.
 */
export function any<const W extends readonly Wait[]>(
  ...waits: W
): Wait<{ readonly index: number; readonly value: WaitValues<W>[number] }> {
  checkWaits('any', waits);
  return {
    awaited: `any of: ${waits.map(({ awaited }) => awaited).join('; ')}`,
    async probe(target, signal) {
      const over = new AbortController();
      try {
        const state = await firstMet(waits, target, AbortSignal.any([signal, over.signal]));
        if (!state.met) return state;
        return { met: true, value: { index: state.value.index, value: state.value.value as WaitValues<W>[number] } };
      } finally {
        over.abort();
      }
    },
  };
}

/** Looks at each condition once, and until all have been looked at, again at those that are not met. */
function firstMet(
  waits: readonly Wait[],
  target: WaitTarget,
  signal: AbortSignal,
): Promise<WaitState<{ readonly index: number; readonly value: unknown }>> {
  return new Promise((resolve, reject) => {
    const saw: string[] = [];
    const failures: unknown[] = [];
    const seen = new Set<number>();
    const missed = (index: number, what: string) => {
      saw[index] = `${waits[index]?.awaited}: ${what}`;
      seen.add(index);
      if (failures.length === waits.length) reject(failures[0]);
      else if (seen.size === waits.length) resolve({ met: false, saw: saw.join('; ') });
    };
    const look = async (wait: Wait, index: number) => {
      try {
        while (!signal.aborted) {
          const state = await wait.probe(target, signal);
          if (state.met) return resolve({ met: true, value: { index, value: state.value } });
          missed(index, state.saw);
          await pause(AGAIN_MS, signal);
        }
      } catch (error) {
        if (signal.aborted && seen.has(index)) return;
        failures.push(error);
        missed(index, String(error));
      }
    };
    for (const [index, wait] of waits.entries()) void look(wait, index);
  });
}

function checkWaits(name: string, waits: readonly Wait[]): void {
  validate(v.pipe(v.array(WAIT_SCHEMA), v.minLength(1, 'expected one wait or more')), waits, `${name}: waits`);
}

export const UNTIL = { awaited: v.optional(v.pipe(v.string(), v.nonEmpty('expected a text'))) };

/** What `until` waits for, in words. */
export interface UntilOptions {
  /** Names the condition in errors; default `the condition`. */
  readonly awaited?: string | undefined;
}

/**
 * Waits until `probe` returns something that is neither `undefined`, `null` nor `false`, and returns that. When it throws, the
 * condition counts as not met, and a TIMEOUT shows the error.
 */
export function until<T>(
  probe: (signal: AbortSignal) => T | Promise<T>,
  options: UntilOptions = {},
): Wait<Exclude<T, undefined | null | false>> {
  validate(v.function('expected a function'), probe, 'until: probe');
  validate(v.strictObject(UNTIL), options, 'until: options');
  return {
    awaited: options.awaited ?? 'the condition',
    async probe(_, signal) {
      try {
        const value = await probe(signal);
        if (isPresent(value)) return { met: true, value };
        return { met: false, saw: `it returned ${String(value)}` };
      } catch (error) {
        if (signal.aborted || isQmpilotError(error, 'QEMU_EXITED') || isQmpilotError(error, 'CLOSED')) throw error;
        return { met: false, saw: `it threw ${error instanceof Error ? error.message : String(error)}` };
      }
    },
  };
}

function isPresent<T>(value: T): value is Exclude<T, undefined | null | false> {
  return value !== undefined && value !== null && value !== false;
}
