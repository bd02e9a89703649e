import type { AttemptRecord, RunEvent } from '../../run-files/attempt-record.js';
import type { RunFile } from '../../run-files/run-file.js';
import type { PreparedVm } from '../vms/prepared-vm.js';

/** What a prepared guest is, and how long it took. */
export type PreparedGuest = Pick<PreparedVm, 'prepared'> & Pick<PreparedVm['vm'], 'facts'>;

/** The part of a run that a queue makes. */
export interface QueuedAttempts {
  readonly run: RunFile;
  /** The attempts to make, in order. */
  readonly indices: readonly number[];
  /** The seed of an attempt. */
  readonly seedOf: (index: number) => number;
  /** The run has a dump of a guest's memory already. */
  readonly dumped: boolean;
  readonly fresh: boolean;
  /** Key of the guest that this run began with; attempts on another one are refused. */
  readonly guestKey: string | undefined;
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
