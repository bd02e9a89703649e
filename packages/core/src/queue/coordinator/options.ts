import * as v from 'valibot';
import type { Duration } from '../../util/time/duration.js';
import { DURATION, PATH } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';

/** A build of a commit. */
export interface QueuedBuild {
  /** Directory of its files, at the same path on all machines. The scenario finds it in `process.env.QMPILOT_BUILD`. */
  readonly dir: string;
  /** The commit: `process.env.QMPILOT_COMMIT` of the scenario. */
  readonly commit: string;
  /** Command that installs the files in the guest before `prepare`, as the option `install` of `bisect`. */
  readonly install?: string | undefined;
}

/** Options of `openQueue`. */
export interface QueueOptions {
  /** `redis://HOST:PORT`, `rediss://` for TLS; user and password in it. */
  readonly url: string;
  /** The key that signs the run; default `$QMPILOT_QUEUE_KEY`. */
  readonly key?: string | undefined;
  /** The scenario's file, which is sent to the workers with all that it imports by relative paths. */
  readonly scenario: string;
  /** Another guest of the scenario, by name. */
  readonly guest?: string | undefined;
  /** Another kernel of the guest. */
  readonly kernel?: string | undefined;
  /** The build that the attempts are about, in a bisection. */
  readonly build?: QueuedBuild | undefined;
  /** SHA-256 of the scenario and what it imports. Another one is refused. Default: that of the run. */
  readonly source?: string | undefined;
  /** A directory that all machines share: the files of attempts go there, and never through Redis. */
  readonly evidence?: string | undefined;
  /** An attempt whose worker is silent for so long is made by another one; default 30 s. */
  readonly lease?: Duration | undefined;
}

const OPTIONS = v.strictObject({
  url: v.string(),
  key: v.optional(v.string()),
  scenario: PATH,
  guest: v.optional(v.string()),
  kernel: v.optional(v.string()),
  build: v.optional(
    v.strictObject({
      dir: PATH,
      commit: v.string(),
      install: v.optional(v.string()),
    } satisfies Record<keyof QueuedBuild, v.GenericSchema>),
  ),
  source: v.optional(v.string()),
  evidence: v.optional(PATH),
  lease: v.optional(DURATION),
} satisfies Record<keyof QueueOptions, v.GenericSchema>);

/** @throws {USAGE} */
export function checkQueueOptions(options: QueueOptions): void {
  validate(OPTIONS, options, 'openQueue: options');
}
