import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AbortedError, type ErrorCode, isQmpilotError, QmpilotError } from '../errors.js';
import { withInstallation } from '../repro/installation.js';
import { runScenario } from '../repro/run/run-scenario.js';
import { isScenario, onKernel } from '../repro/scenario.js';
import type { AttemptRecord, RunEvent } from '../run-files/attempt-record.js';
import { incidentsOf } from '../run-files/incidents/incidents.js';
import { removeDirectory } from '../util/files/remove-directory.js';
import { monotonicMs } from '../util/time/clock.js';
import type { AttemptsLine } from './journal.js';
import { PACKAGE_FILE } from './kernels/package-builds.js';
import type { BisectBuild, BisectOptions, BisectPurpose } from './options.js';

/** Errors that have nothing to do with the commit: the next one would end in the same way. */
const NOT_OF_THE_COMMIT: ReadonlySet<ErrorCode> = new Set([
  'ABORTED',
  'USAGE',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'IO',
  'NO_SPACE',
  'TOOL_MISSING',
  'QEMU_START',
  'GUEST_BUILD',
  'INTERNAL',
]);

/** A series of attempts on one build. */
export interface Series {
  readonly purpose: BisectPurpose;
  readonly build: BisectBuild;
  /** Number of attempts; those of the search end at the first failure, unless a queue makes them. */
  readonly wanted: number;
  /** The run directory: new, or that of a session which was killed in this series. */
  readonly dir: string;
  /** Identifies scenario and bisection. */
  readonly source: { readonly file: string; readonly sha256: string };
}

/**
 * Makes attempts on a build, each from a fork of its prepared guest.
 * @throws what `runScenario` throws, unless the commit is the reason: then the line has `unusable`
 */
export async function makeAttempts(
  { purpose, build, wanted, dir, source }: Series,
  options: BisectOptions,
): Promise<AttemptsLine> {
  const { signal, cacheDir } = options;
  const begun = monotonicMs();
  if (!(await stat(build.dir).catch(() => undefined))?.isDirectory())
    throw new QmpilotError('NOT_FOUND', `the build ${build.dir} is missing`, { hint: 'start another bisection' });
  const given = await options.scenario(build);
  if (!isScenario(given))
    throw new QmpilotError('SCENARIO', 'bisect: options.scenario returned no scenario', {
      hint: 'return defineScenario({ guest, attempt })',
    });
  const install = options.kernels === undefined ? options.install : undefined;
  const installed = install === undefined ? given : withInstallation(given, build.dir, install);
  const kernel = options.kernels === undefined ? undefined : join(build.dir, PACKAGE_FILE);
  const scenario = kernel === undefined ? installed : onKernel(installed, kernel);
  const queue = await options.queue?.({ build, install, kernel });
  const records: AttemptRecord[] = [];
  let bootMs: number | undefined;
  let booted = 0;
  const onEvent = (event: RunEvent) => {
    if (event.type === 'run') records.push(...event.done);
    if (event.type === 'booted') booted = event.ms;
    if (event.type === 'prepared' && event.from === 'boot') bootMs = Math.round(booted + event.ms);
    if (event.type === 'attempt') records.push(event.record);
    options.onEvent?.({ type: 'run', commit: build.commit, event });
  };
  let unusable: string | undefined;
  try {
    const isBegun = existsSync(join(dir, 'run.json'));
    if (!isBegun) await removeDirectory(dir);
    await runScenario(scenario, {
      ...(isBegun ? { resume: dir } : { dir, attempts: wanted }),
      // Attempts that end early would be favoured if several of them raced for the first failure.
      ...(queue === undefined ? { forks: purpose === 'search' ? 1 : options.forks, cacheDir } : { queue }),
      ...(queue === undefined && purpose === 'search' && !isBegun && { untilReproduced: 1 }),
      source: {
        file: source.file,
        sha256: createHash('sha256')
          .update([source.sha256, build.id, ...(install === undefined ? [] : [install])].join(' '))
          .digest('hex'),
      },
      signal,
      onEvent,
    });
  } catch (error) {
    if (signal?.aborted) throw new AbortedError('the bisection', signal.reason);
    if (purpose === 'ends' || !isQmpilotError(error) || NOT_OF_THE_COMMIT.has(error.code)) throw error;
    unusable = error.message;
  } finally {
    await queue?.close();
  }
  return {
    type: 'attempts',
    purpose,
    commit: build.commit,
    wanted,
    attempts: records.map(signaturesOf),
    ...(unusable !== undefined && { unusable }),
    ms: Math.round(monotonicMs() - begun),
    attemptsMs: records.reduce((sum, { ms, restoreMs }) => sum + ms + restoreMs, 0),
    ...(bootMs !== undefined && { bootMs }),
    cached: scenario.cache ?? scenario.prepare === undefined,
  };
}

/** The failures of an attempt, those of several findings first, then each finding; null when it is inconclusive. */
function signaturesOf(record: AttemptRecord): string[] | null {
  if (record.outcome === 'inconclusive') return null;
  if (record.outcome === 'clean') return [];
  const failures = [...incidentsOf(record), ...record.findings].filter(({ severity }) => severity === 'error');
  return [...new Set(failures.map(({ signature }) => signature))];
}
