import type { AttemptFiles } from '../../run-files/attempt-files.js';
import type { RunEvent } from '../../run-files/attempt-record.js';
import type { Duration } from '../../util/time/duration.js';
import type { Checkpointer } from '../checkpoints/checkpointer.js';

/** The parameters of one attempt. */
export interface AttemptOptions {
  readonly index: number;
  readonly fork: number;
  readonly seed: number;
  /** Milliseconds since the attempt began. */
  readonly now: () => number;
  /** Ends the attempt: its evidence cannot be written. */
  readonly broken: AbortSignal;
  readonly restoreMs: number;
  readonly timeout: Duration;
  readonly files: AttemptFiles;
  /** Returns true once in a run: this attempt keeps the guest's memory. */
  readonly claimDump: () => boolean | Promise<boolean>;
  /** Takes snapshots along the attempt. */
  readonly checkpoints?: Checkpointer | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: (event: RunEvent) => void;
}
