import type { Controller, FaultRun, RunEnd, StartOptions } from '../fault-run.js';

export interface Injection {
  readonly run: FaultRun;
  readonly controller: Controller;
  readonly random: () => number;
}

/** One kind of fault. A function that gives a string says why the fault cannot be made on this host. */
export interface FaultKind {
  readonly name: string;
  /** Exit codes, and signals that end the controller, that are right after it. */
  readonly exits: readonly (number | NodeJS.Signals)[];
  /** What the error, or the reason of an inconclusive attempt, names. */
  readonly says: RegExp;
  /** Before the run. */
  readonly setUp?: (run: FaultRun, random: () => number) => string | undefined;
  /** How the run is started; by default as any other. */
  readonly start?: (run: FaultRun, random: () => number) => Omit<StartOptions, 'args'>;
  /** At a random moment of it. */
  readonly inject?: (injection: Injection) => Promise<string | undefined>;
  /** What else has to hold then. */
  readonly check?: (run: FaultRun, end: RunEnd) => readonly string[];
  /** Before it is resumed. */
  readonly repair?: (run: FaultRun) => void | Promise<void>;
}

/** A fault of the scenario while it prepares the guest: it waits forever then, so that what ends the run is not the scenario. */
export function inPrepare(
  name: string,
  fault: string,
  exits: FaultKind['exits'],
  says: RegExp,
  more: Partial<FaultKind>,
): FaultKind {
  return { name, exits, says, ...more, start: () => ({ env: { FAULT: fault, FAULT_AT: 'prepare' } }) };
}

/** A fault of the scenario or of its guest, in one attempt of the run. */
export function inAttempt(
  name: string,
  fault: string,
  exits: FaultKind['exits'],
  says: RegExp,
  { heapMiB, timeout, ...more }: Partial<FaultKind> & { readonly heapMiB?: number; readonly timeout?: string } = {},
): FaultKind {
  const limit = heapMiB === undefined ? {} : { NODE_OPTIONS: `--max-old-space-size=${heapMiB}` };
  return {
    name,
    exits,
    says,
    ...more,
    start: (_, random) => ({
      env: { ...limit, FAULT: fault, FAULT_AT: String(1 + Math.floor(random() * 8)) },
      ...(timeout !== undefined && { timeout }),
    }),
  };
}
