import * as v from 'valibot';
import { QmpilotError } from '../../errors.js';
import type { AttemptRecord, RunEvent } from '../../run-files/attempt-record.js';
import type { RunFile } from '../../run-files/run-file.js';
import { isObject } from '../../util/validation/is-object.js';
import type { PreparedVm } from '../vms/prepared-vm.js';

/** What a prepared guest is, and how long it took. */
export type PreparedGuest = Pick<PreparedVm, 'prepared'> & Pick<PreparedVm['vm'], 'facts'>;

/** An attempt of a run whose directory all machines share. */
export interface CheckpointedRun {
  readonly dir: string;
  readonly attempt: number;
}

/** The part of a run that a queue makes. */
export interface QueuedAttempts {
  readonly run: RunFile;
  /**
   * Returns the attempts to make next, at most `count`. None while others are under way: their results decide what comes next. None while
   * no other is: all were made.
   */
  readonly take: (count: number) => readonly number[];
  /** The seed of an attempt. */
  readonly seedOf: (index: number) => number;
  /** The run has a dump of a guest's memory already. */
  readonly dumped: boolean;
  readonly fresh: boolean;
  /** Key of the guest that this run began with; attempts on another one are refused. */
  readonly guestKey: string | undefined;
  /** The failing attempt whose checkpoints these attempts start from; default: they start from the prepared guest. */
  readonly checkpoints?: CheckpointedRun | undefined;
  readonly signal: AbortSignal | undefined;
  readonly tell: (event: RunEvent) => void;
  /** Called with the first guest that a worker has prepared, and with others that differ in QEMU or accelerator. */
  readonly onPrepared: (guest: PreparedGuest) => Promise<void>;
  readonly onForks: (forks: number, reason: string) => Promise<void>;
  /**
   * Called once for each attempt, in the order in which they end. `writeEvidence` fills the folder of the attempt.
   * @returns false when the run is to stop
   */
  readonly accept: (record: AttemptRecord, writeEvidence: (folder: string) => Promise<void>) => Promise<boolean>;
}

/** Makes the attempts of a run on other machines; `openQueue` of `@qmpilot/core/queue` returns one. */
export interface AttemptQueue {
  /**
   * Makes the attempts. At most one attempt of each index is accepted.
   * @returns whether all were made; false when `accept` returned false
   * @internal
   */
  makeAttempts(attempts: QueuedAttempts): Promise<boolean>;
  /** Ends the connection. */
  close(): Promise<void>;
}

/** @throws {USAGE} for options that are the workers' when a queue makes the attempts */
export function refuseWithQueue<Options extends object>(
  options: Options,
  ofWorkers: readonly (keyof Options & string)[],
): void {
  for (const name of ofWorkers)
    if (options[name] !== undefined)
      throw new QmpilotError('USAGE', `${name} cannot be given for a run with a queue`, {
        hint: 'its workers make the attempts: give it to them',
      });
}

/** Schema of the option `queue`. */
export const QUEUE = v.custom<AttemptQueue>(
  (value) => isObject(value) && 'makeAttempts' in value,
  'expected what openQueue() returns',
);
