import * as v from 'valibot';
import type { Outcome } from '../../run-files/attempt-record.js';
import { PATH, WAIT, wholeNumber } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import type { Attempts, ProcessRequest } from './attempt-process.js';

/** An event of a worker, for displays. */
export type WorkerEvent =
  | { readonly type: 'progress'; readonly message: string }
  /** It begins to make attempts of a run. */
  | { readonly type: 'run'; readonly name: string; readonly forks: number }
  /** With `checkpoint`: a fork that `measureWhen` asked for, and its number among the forks of that checkpoint. */
  | {
      readonly type: 'attempt';
      readonly index: number;
      readonly checkpoint?: number;
      readonly outcome: Outcome;
      readonly ms: number;
    }
  /** It makes no more attempts of the run. */
  | { readonly type: 'end'; readonly name: string; readonly reason: string };

/** Options of `runWorker`. */
export interface WorkerOptions {
  /** `redis://HOST:PORT`, `rediss://` for TLS; user and password in it. */
  readonly url: string;
  /** The key that signs the runs; default `$QMPILOT_QUEUE_KEY`. */
  readonly key?: string | undefined;
  /** Path of the program that controls the VMs, in a process of its own: it calls `serveAttempts`. */
  readonly program: string;
  /** Number of attempts in parallel; default: as many as CPUs and free memory allow. */
  readonly forks?: number | undefined;
  /** The directory of a run with `evidence`, where it has another path on this machine. */
  readonly evidence?: string | undefined;
  /** Ends the worker: it gives its attempts back. */
  readonly signal?: AbortSignal | undefined;
  /** Called with what happens, for users. */
  readonly onEvent?: ((event: WorkerEvent) => void) | undefined;
  /**
   * Replaces the process.
   * @internal
   */
  readonly start?: ((request: ProcessRequest) => Promise<Attempts>) | undefined;
}

const OPTIONS = v.strictObject({
  url: v.string(),
  key: v.optional(v.string()),
  program: PATH,
  forks: v.optional(wholeNumber(1)),
  evidence: v.optional(PATH),
  signal: WAIT.signal,
  onEvent: v.optional(v.function()),
  start: v.optional(v.function()),
} satisfies Record<keyof WorkerOptions, v.GenericSchema>);

/** @throws {USAGE} */
export function checkWorkerOptions(options: WorkerOptions): void {
  validate(OPTIONS, options, 'runWorker: options');
}
