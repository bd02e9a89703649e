import type { PreparedGuest } from '../../repro/run/attempt-queue.js';
import type { AttemptRecord, RunEvent } from '../../run-files/attempt-record.js';
import type { Manifest } from '../store/manifest.js';
import type { SentError } from '../store/messages.js';

/** What the process that controls VMs needs to know of a run. */
export interface OpenRequest {
  readonly file: string;
  readonly guest?: string | undefined;
  readonly kernel?: string | undefined;
  readonly build?: Manifest['build'];
  readonly checkpoints?: Manifest['checkpoints'];
  readonly source: string;
  readonly fresh: boolean;
  readonly timeoutMs: number;
  readonly forks?: number | undefined;
  /** Folder of this worker. */
  readonly scratch: string;
  /** Folder of the shared directory for the files of attempts; without it they are sent. */
  readonly shared?: string | undefined;
}

/** From a worker to its process. */
export type ToProcess =
  | { readonly type: 'open'; readonly request: OpenRequest }
  | {
      readonly type: 'attempt';
      readonly id: number;
      readonly index: number;
      readonly seed: number;
      readonly slot: number;
      readonly folder: string;
    }
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'claimed'; readonly id: number; readonly mine: boolean }
  | { readonly type: 'close' };

/** From the process to its worker. */
export type FromProcess =
  | { readonly type: 'ready'; readonly forks: number; readonly guest: PreparedGuest }
  | { readonly type: 'event'; readonly slot: number; readonly event: RunEvent }
  | { readonly type: 'made'; readonly id: number; readonly record: AttemptRecord; readonly evidence?: Uint8Array }
  | { readonly type: 'not-made'; readonly id: number; readonly error: SentError }
  | { readonly type: 'claim'; readonly id: number }
  /** It cannot make attempts, or not any more. */
  | { readonly type: 'failed'; readonly error: SentError };
