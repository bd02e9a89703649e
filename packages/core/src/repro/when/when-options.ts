import * as v from 'valibot';
import type { WhenResult } from '../../run-files/when-file.js';
import { PATH, WAIT, wholeNumber } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import { QUEUE, refuseWithQueue, type AttemptQueue } from '../run/attempt-queue.js';
import type { WhenFork } from './when-journal.js';

/** What `measureWhen` looks at, and how much it may spend. */
export interface WhenOptions {
  /** The run directory; its run was made with `checkpoints`. */
  readonly run: string;
  /** Number of the failing attempt. Default: the first that has checkpoints. */
  readonly attempt?: number | undefined;
  /** Forks in parallel. Default: as many as CPUs and memory allow. */
  readonly forks?: number | undefined;
  /** Forks from all checkpoints together, at most. Default 300. */
  readonly maxForks?: number | undefined;
  /** Forks from a checkpoint before the search decides where to go on. Default 12. */
  readonly batch?: number | undefined;
  /** A wrong confirmation has a probability of at most 1 - confidence. Default 0.95. */
  readonly confidence?: number | undefined;
  /** Saves the checkpoint before the rise to this path, for `openSnapshot` and `qmpilot boot --from`. Default: it stays in the run directory only. */
  readonly keep?: string | undefined;
  /** Begins again, without the forks that were made before. Default false. */
  readonly fresh?: boolean | undefined;
  /** Goes on although the scenario is not that of the run, or of the forks that were made before. Default false. */
  readonly acceptChanges?: boolean | undefined;
  /** Source of the scenario, which is compared with that of the run. */
  readonly source?: { readonly file: string; readonly sha256: string } | undefined;
  /** QEMU's binary; it has to be the one that made the run. Default `$QMPILOT_QEMU`, else `qemu-system-x86_64` on PATH. */
  readonly qemu?: string | undefined;
  /** What `openQueue` of `@qmpilot/core/queue` returns: its workers make the forks. They find the checkpoints in `run`, at the same path. */
  readonly queue?: AttemptQueue | undefined;
  /** Interrupts it: it rejects with ABORTED; finished forks are on disk, and the next call goes on with them. */
  readonly signal?: AbortSignal | undefined;
  /** Called for everything that happens; what it throws ends the search. */
  readonly onEvent?: ((event: WhenEvent) => void) | undefined;
}

/** An event of `measureWhen`, for progress displays. Times are in ms since the attempt began. */
export type WhenEvent =
  | { readonly type: 'progress'; readonly message: string }
  | {
      readonly type: 'when';
      readonly dir: string;
      readonly attempt: number;
      readonly failure: WhenResult['failure'];
      readonly checkpoints: number;
      /** Forks that were made before. */
      readonly done: number;
    }
  | { readonly type: 'forks'; readonly forks: number; readonly reason: string }
  /** A fork ended; `failures` of `attempts` forks of its checkpoint have failed. */
  | {
      readonly type: 'fork';
      readonly fork: WhenFork;
      readonly at: number;
      readonly failures: number;
      readonly attempts: number;
    }
  /** Where the biggest rise is so far. */
  | { readonly type: 'rise'; readonly from: number; readonly to: number }
  | { readonly type: 'result'; readonly result: WhenResult };

const COUNT = v.optional(wholeNumber(1));
const OPTIONS = v.strictObject({
  run: PATH,
  attempt: COUNT,
  forks: COUNT,
  maxForks: COUNT,
  batch: COUNT,
  confidence: v.optional(
    v.pipe(
      v.number(),
      v.check((value) => value > 0 && value < 1, 'expected a number between 0 and 1'),
    ),
  ),
  keep: v.optional(PATH),
  fresh: v.optional(v.boolean()),
  acceptChanges: v.optional(v.boolean()),
  source: v.optional(v.strictObject({ file: PATH, sha256: v.string() })),
  qemu: v.optional(PATH),
  queue: v.optional(QUEUE),
  signal: WAIT.signal,
  onEvent: v.optional(v.function()),
} satisfies Record<keyof WhenOptions, v.GenericSchema>);

/** Checks the options of `measureWhen`. @throws {USAGE} */
export function checkWhenOptions(options: WhenOptions): void {
  validate(OPTIONS, options, 'measureWhen: options');
  if (options.queue) refuseWithQueue(options, ['forks', 'qemu']);
}
