import { randomInt } from 'node:crypto';
import { basename } from 'node:path';
import * as v from 'valibot';
import { QmpilotError } from '../../errors.js';
import type { RunEvent } from '../../run-files/attempt-record.js';
import { isShard, type RunFile, type Shard } from '../../run-files/run-file.js';
import { wallTime } from '../../util/time/clock.js';
import { parseDuration, type Duration } from '../../util/time/duration.js';
import { DURATION, PATH, WAIT, wholeNumber } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import type { boot } from '../../vm/start/boot.js';
import { CHECKPOINTS, checkpointSettings, type CheckpointsOption } from '../checkpoints/checkpoint-options.js';
import type { Scenario } from '../scenario.js';
import { QUEUE, refuseWithQueue, type AttemptQueue } from './attempt-queue.js';
import { readEnvironment } from './environment.js';
import { seedOfText } from './seed.js';
import type { StopOptions } from './stop-rule.js';

/** Options of `runScenario`. */
export interface RunOptions extends StopOptions {
  /** Number of attempts of all shards together; default 10, or that of the resumed run. */
  readonly attempts?: number | undefined;
  /** Number of attempts in parallel; default: as many as CPUs and free memory allow. */
  readonly forks?: number | undefined;
  /** Of one attempt; default the scenario's, else 3 min. */
  readonly timeout?: Duration | undefined;
  /** Stop after so many reproduced attempts; default none. */
  readonly untilReproduced?: number | undefined;
  /** Stop when this is decided: `rate<0.01@95%`. Either verdict is wrong with a probability of at most 5 % then. */
  readonly until?: string | undefined;
  /** Make this part of the attempts only. */
  readonly shard?: Shard | undefined;
  /** The run directory: new, or empty. Default `runs/NAME-TIME` in the working directory. */
  readonly dir?: string | undefined;
  /** Continue with the run in this directory; its seed, timeout and shard hold. */
  readonly resume?: string | undefined;
  /** Resume although the scenario's text or its guest has changed. Default false. */
  readonly acceptChanges?: boolean | undefined;
  /**
   * Keeps snapshots along each attempt, for `measureWhen`: a time between two such as `'2s'`, or `'marks'` for those of the scenario's
   * `checkpoint()` alone. Those of the first failing attempt stay, in the run directory. Default: none; with `resume`, as in the run.
   */
  readonly checkpoints?: CheckpointsOption | undefined;
  /** Whole number: the same seed gives the attempts the same seeds. Default random; with `shard`, the same for the same scenario. */
  readonly seed?: number | undefined;
  /** Interrupts the run: it rejects with ABORTED; finished attempts are on disk. */
  readonly signal?: AbortSignal | undefined;
  /** Called for everything that happens during the run; what it throws ends the run. */
  readonly onEvent?: ((event: RunEvent) => void) | undefined;
  /** Source of the scenario: recorded in run.json, and compared on resume. Without it no guest is cached. */
  readonly source?: { readonly file: string; readonly sha256: string } | undefined;
  /** Boots and prepares the guest, and replaces the cached one. Default false. */
  readonly fresh?: boolean | undefined;
  /** Cache directory; default `cacheRoot()`. */
  readonly cacheDir?: string | undefined;
  /** Makes the attempts on other machines; then `forks`, `boot` and `cacheDir` are those of its workers. */
  readonly queue?: AttemptQueue | undefined;
  /** Replaces `boot`; nothing is cached then. */
  readonly boot?: typeof boot | undefined;
}

const COUNT = v.optional(wholeNumber(1));
const OPTIONS = v.strictObject({
  attempts: COUNT,
  forks: COUNT,
  timeout: v.optional(DURATION),
  untilReproduced: COUNT,
  until: v.optional(v.string()),
  shard: v.optional(v.custom<Shard>(isShard, 'expected a shard such as { index: 2, count: 5 }, the second of five')),
  dir: v.optional(PATH),
  resume: v.optional(PATH),
  acceptChanges: v.optional(v.boolean()),
  checkpoints: v.optional(CHECKPOINTS),
  seed: v.optional(v.custom<number>(Number.isSafeInteger, 'expected a whole number')),
  signal: WAIT.signal,
  onEvent: v.optional(v.function()),
  source: v.optional(v.strictObject({ file: PATH, sha256: v.string() })),
  fresh: v.optional(v.boolean()),
  cacheDir: v.optional(PATH),
  queue: v.optional(QUEUE),
  boot: v.optional(v.function()),
} satisfies Record<keyof RunOptions, v.GenericSchema>);

/** Checks the options of `runScenario`. @throws {USAGE} */
export function checkRunOptions(options: RunOptions): void {
  validate(OPTIONS, options, 'runScenario: options');
  if (options.queue === undefined) return;
  if (options.checkpoints !== undefined)
    throw new QmpilotError('USAGE', 'checkpoints cannot be kept in a run with a queue', {
      hint: 'they are large and stay on the machine that made the attempt: run without a queue',
    });
  refuseWithQueue(options, ['forks', 'boot', 'cacheDir']);
}

const DEFAULT_ATTEMPTS = 10;

/** Describes a new run. */
export function describeRun(scenario: Scenario, options: RunOptions): RunFile {
  const { shard, source, untilReproduced, until, checkpoints } = options;
  return {
    v: 1,
    name: scenario.name ?? nameOfFile(source?.file) ?? 'run',
    startedAt: wallTime(),
    seed:
      options.seed ?? (shard === undefined ? randomInt(2 ** 47) : seedOfText(source?.sha256 ?? scenario.name ?? '')),
    attempts: options.attempts ?? DEFAULT_ATTEMPTS,
    ...(shard && { shard }),
    timeoutMs: parseDuration(options.timeout ?? scenario.timeout ?? '3m', 'timeout'),
    ...(untilReproduced !== undefined && { untilReproduced }),
    ...(until !== undefined && { until }),
    ...(checkpoints !== undefined && { checkpoints: checkpointSettings(checkpoints) }),
    ...(source && { source }),
    environment: readEnvironment(),
    sessions: [],
  };
}

/** `spool` of `/home/me/spool.repro.ts`. */
function nameOfFile(file: string | undefined): string | undefined {
  return file === undefined ? undefined : basename(file).replace(/(?:\.repro)?\.[cm]?[jt]s$/, '') || undefined;
}

/** `runs/NAME-TIME`. */
export function defaultDirectory({ name, startedAt }: RunFile): string {
  return `runs/${name.replaceAll(/[^\w.-]/g, '-')}-${startedAt.replace(/[:.]/g, '').replace('T', '-').slice(0, 17)}`;
}

/**
 * Returns what a resume changes in run.json.
 * @throws {USAGE} for an option that cannot change
 */
export function resumedRun(run: RunFile, options: RunOptions): Partial<RunFile> {
  for (const fixed of ['seed', 'timeout', 'shard', 'dir'] as const) {
    if (options[fixed] === undefined) continue;
    throw new QmpilotError('USAGE', `${fixed} cannot be given for a run that is resumed`, {
      hint: 'it is fixed when the run begins; start another run to change it',
    });
  }
  const { source, untilReproduced, until, checkpoints } = options;
  if (source && run.source && source.sha256 !== run.source.sha256 && options.acceptChanges !== true) {
    throw new QmpilotError(
      'USAGE',
      `the scenario ${source.file} is not the one that this run began with: attempts of the two would be counted together`,
      {
        hint: 'start another run, or accept it by --accept-changes',
      },
    );
  }
  return {
    ...(options.attempts !== undefined && { attempts: options.attempts }),
    ...(untilReproduced !== undefined && { untilReproduced }),
    ...(until !== undefined && { until }),
    ...(checkpoints !== undefined && { checkpoints: checkpointSettings(checkpoints) }),
    ...(source && { source }),
  };
}
