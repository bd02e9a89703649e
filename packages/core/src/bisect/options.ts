import { availableParallelism } from 'node:os';
import * as v from 'valibot';
import { QmpilotError } from '../errors.js';
import { SUITE } from '../guests/debian/image-options.js';
import type { AttemptQueue } from '../repro/run/attempt-queue.js';
import type { Scenario } from '../repro/scenario.js';
import type { RunEvent } from '../run-files/attempt-record.js';
import { parseDuration, type Duration } from '../util/time/duration.js';
import { DURATION, PATH, wholeNumber } from '../util/validation/schemas.js';
import { validate } from '../util/validation/validate.js';
import type { BisectSuspect } from './result.js';

/** The build of a commit. */
export interface BisectBuild {
  /** The commit, 40 hexadecimal digits. */
  readonly commit: string;
  /** What the build command left in `QMPILOT_OUT`: a directory of this commit alone. */
  readonly dir: string;
  /** Hash of the files in `dir`: commits with the same one are not told apart by any attempt. */
  readonly id: string;
}

/** What the attempts of a series are made on. */
export interface BisectSubject {
  readonly build: BisectBuild;
  /** The option `install`. */
  readonly install: string | undefined;
  /** The kernel that the guest boots in a bisection of kernels: a file in the directory of the build. */
  readonly kernel: string | undefined;
}

/** Options of `bisect` for the commits of a git repository. */
export interface BisectRepositoryOptions extends BisectCommonOptions {
  /** The git repository. Its worktree is not touched. */
  readonly repo: string;
  /** A revision that does not have the failure, or has it less often: an ancestor of `bad`. */
  readonly good: string;
  /** A revision that has the failure. */
  readonly bad: string;
  /** More revisions without the failure: they and their ancestors are not bisected, and not tried. */
  readonly alsoGood?: readonly string[] | undefined;
  /** Revisions that cannot be tried. Each may still be the culprit. */
  readonly skip?: readonly string[] | undefined;
  /** Only commits that change one of these files or directories of the repository. Default: all. */
  readonly paths?: readonly string[] | undefined;
  /**
   * Command for `sh -c` that builds the commit in the working directory, and puts what the scenario needs into the directory
   * `$QMPILOT_OUT`. A commit whose build ends with another exit status than 0 is skipped.
   */
  readonly build: string;
  /**
   * Command that installs a build: it runs in the guest, as root, before `prepare` of the scenario, in the directory `$QMPILOT_OUT`
   * with a copy of the build's files. A commit on which it fails is skipped. Default: none.
   */
  readonly install?: string | undefined;
  readonly kernels?: undefined;
}

/** Options of `bisect` for the kernels that Debian has as packages: the guest of the scenario, `debian()`, boots each of them. */
export interface BisectKernelsOptions extends BisectCommonOptions {
  /** Names of the packages, with `*` and `?`: `linux-image-6.1.0-*-cloud-amd64`. They are ordered by their versions. */
  readonly kernels: string;
  /** Release of Debian that they are taken from, with its updates and backports. Default `bookworm`. */
  readonly suite?: string | undefined;
  /** Name or version of a kernel without the failure. Default: the oldest one. */
  readonly good?: string | undefined;
  /** Name or version of a kernel with the failure. Default: the newest one. */
  readonly bad?: string | undefined;
  readonly repo?: undefined;
}

/** Options of `bisect`. */
export type BisectOptions = BisectRepositoryOptions | BisectKernelsOptions;

/** Options of `bisect`, whatever is bisected. */
export interface BisectCommonOptions {
  /** Returns the scenario for a build. */
  readonly scenario: (build: BisectBuild) => Scenario | Promise<Scenario>;
  /** The failure that counts, by its signature. Default: the most frequent one of the first attempts at the bad end. */
  readonly signature?: string | undefined;
  /** The failure rate from the culprit on, where it is known: above 0, at most 1. Default: unknown. */
  readonly rate?: number | undefined;
  /** The failure rate before the culprit, where it is known: below 1; 0 when only the culprit can cause the failure. Default: unknown. */
  readonly background?: number | undefined;
  /** Posterior probability of the answer before it is confirmed, above 0 and below 1. Default 0.95. */
  readonly certainty?: number | undefined;
  /** Attempts at each end, at most, until the ends differ. Default 400. */
  readonly maxEndAttempts?: number | undefined;
  /** Ends the search after so many builds, those that failed included. Default: no limit. */
  readonly maxBuilds?: number | undefined;
  /** Ends the search after so much time of builds and attempts. Default: no limit. */
  readonly maxTime?: Duration | undefined;
  /** Attempts in parallel where all attempts of a step are made (ends, confirmation). Default: as many as CPUs and memory allow. */
  readonly forks?: number | undefined;
  /**
   * Returns the queue whose workers make the attempts of a series, as `openQueue` of `@qmpilot/core/queue` does; it is closed after
   * them. All attempts of a series are made then, also in the search. `dir` has to be at the same path on all machines.
   */
  readonly queue?: ((subject: BisectSubject) => Promise<AttemptQueue>) | undefined;
  /** Builds the commits that are likely to come next while attempts of the search run. Default: on a host with several CPUs. */
  readonly buildAhead?: boolean | undefined;
  /** The directory of the bisection: new or empty. Default `bisections/TIME` in the working directory. */
  readonly dir?: string | undefined;
  /** Continues the bisection in this directory: with the same revisions, paths and build command. */
  readonly resume?: string | undefined;
  /** Source of the scenario: recorded, and compared by `resume`. */
  readonly source?: { readonly file: string; readonly sha256: string } | undefined;
  /** Interrupts it: `bisect` rejects with ABORTED, and can be resumed. */
  readonly signal?: AbortSignal | undefined;
  /** Called for everything that happens; what it throws ends the bisection. */
  readonly onEvent?: ((event: BisectEvent) => void) | undefined;
  /** Cache directory; default `cacheRoot()`. */
  readonly cacheDir?: string | undefined;
}

/** Why attempts are made. */
export type BisectPurpose = 'ends' | 'search' | 'confirmation' | 'revert';

/** An event of a bisection, for progress displays. */
export type BisectEvent =
  | { readonly type: 'progress'; readonly message: string }
  /** The build of a commit begins; `ahead`: during attempts on another one. */
  | { readonly type: 'building'; readonly commit: string; readonly ahead?: boolean }
  /** A commit is built: a line of the output of its build command. */
  | { readonly type: 'build-output'; readonly commit: string; readonly line: string }
  /** The build of a commit has ended. */
  | { readonly type: 'built'; readonly commit: string }
  /** Attempts of a commit begin; those of the search end at the first failure. */
  | { readonly type: 'series'; readonly purpose: BisectPurpose; readonly commit: string; readonly wanted: number }
  /** Attempts of a commit have ended. */
  | {
      readonly type: 'attempts';
      readonly purpose: BisectPurpose;
      readonly commit: string;
      readonly failures: number;
      readonly attempts: number;
    }
  /** What is known after a step of the search. */
  | {
      readonly type: 'state';
      /** Commits that hold the culprit with a probability of 95 %. */
      readonly suspects: number;
      readonly commits: number;
      /** Remaining uncertainty, in bits. */
      readonly entropy: number;
      /** The most likely commits, at most 5. */
      readonly likeliest: readonly BisectSuspect[];
      readonly builds: number;
      /** Time of builds and attempts until now, in ms. */
      readonly ms: number;
    }
  /** An event of the run that makes the attempts of a step. */
  | { readonly type: 'run'; readonly commit: string; readonly event: RunEvent };

const REVISION = v.custom<string>(
  (value) => typeof value === 'string' && value !== '' && !value.startsWith('-') && !/[\0\n]/.test(value),
  'expected a revision of git',
);
const FUNCTION = v.custom<never>((value) => typeof value === 'function', 'expected a function');

const COMMAND = v.custom<string>((value) => typeof value === 'string' && value.trim() !== '', 'expected a command');
function number(isValid: (value: number) => boolean, message: string) {
  return v.custom<number>((value) => typeof value === 'number' && isValid(value), message);
}

const COMMON = {
  scenario: FUNCTION,
  signature: v.optional(v.string()),
  rate: v.optional(number((value) => value > 0 && value <= 1, 'expected a rate above 0, at most 1')),
  background: v.optional(number((value) => value >= 0 && value < 1, 'expected a rate of at least 0, below 1')),
  certainty: v.optional(number((value) => value > 0 && value < 1, 'expected a number between 0 and 1')),
  maxEndAttempts: v.optional(wholeNumber(1)),
  maxBuilds: v.optional(wholeNumber(1)),
  maxTime: v.optional(DURATION),
  forks: v.optional(wholeNumber(1)),
  queue: v.optional(FUNCTION),
  buildAhead: v.optional(v.boolean()),
  dir: v.optional(PATH),
  resume: v.optional(PATH),
  source: v.optional(v.strictObject({ file: v.string(), sha256: v.string() })),
  signal: v.optional(v.instance(AbortSignal)),
  onEvent: v.optional(FUNCTION),
  cacheDir: v.optional(PATH),
} satisfies Record<keyof BisectCommonOptions, v.GenericSchema>;

const REPOSITORY = v.strictObject({
  ...COMMON,
  repo: PATH,
  good: REVISION,
  bad: REVISION,
  alsoGood: v.optional(v.array(REVISION)),
  skip: v.optional(v.array(REVISION)),
  paths: v.optional(v.array(PATH)),
  build: COMMAND,
  install: v.optional(COMMAND),
  kernels: v.optional(v.undefined()),
} satisfies Record<keyof BisectRepositoryOptions, v.GenericSchema>);

const KERNELS = v.strictObject({
  ...COMMON,
  kernels: v.string(),
  suite: v.optional(SUITE),
  good: v.optional(REVISION),
  bad: v.optional(REVISION),
  repo: v.optional(v.undefined()),
} satisfies Record<keyof BisectKernelsOptions, v.GenericSchema>);

/** The limits of a bisection, with their defaults. */
export interface BisectLimits {
  readonly certainty: number;
  readonly maxEndAttempts: number;
  readonly maxBuilds: number;
  readonly maxTimeMs: number;
  readonly buildAhead: boolean;
}

/** @throws {USAGE} */
export function checkOptions(options: BisectOptions): BisectLimits {
  const schema = options.kernels === undefined ? REPOSITORY : KERNELS;
  validate(schema, options, 'bisect: options');
  const { rate, background } = options;
  if (options.queue !== undefined && options.forks !== undefined)
    throw new QmpilotError('USAGE', 'bisect: forks cannot be given for a bisection with a queue', {
      hint: 'its workers make the attempts: give it to them',
    });
  if (rate !== undefined && background !== undefined && rate <= background)
    throw new QmpilotError('USAGE', `bisect: the rate ${rate} is not above the background ${background}`, {
      hint: 'rate is that from the culprit on, background the one before it',
    });
  const { certainty = 0.95, maxEndAttempts = 400, maxBuilds = Infinity, maxTime } = options;
  const { buildAhead = availableParallelism() > 1 } = options;
  return {
    certainty,
    maxEndAttempts,
    maxBuilds,
    buildAhead,
    maxTimeMs: maxTime === undefined ? Infinity : parseDuration(maxTime, 'maxTime'),
  };
}
