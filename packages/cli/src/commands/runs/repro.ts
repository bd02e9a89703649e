import { basename } from 'node:path';
import { isQmpilotError, QmpilotError, runScenario, type RunSummary } from '@qmpilot/core';
import { onGuest, onKernel } from '@qmpilot/core/internal';
import type { Shard } from '@qmpilot/core/report';
import type { Command } from 'commander';
import {
  checkpoints,
  duration,
  rateGoal,
  repeated,
  seed,
  shard as shardArgument,
  wholeNumber,
} from '../../arguments.js';
import { exitCodeOfRun } from '../../exit-codes.js';
import { helpText } from '../../help.js';
import { interruptible } from '../../interrupt.js';
import { displayKind } from '../../progress/display-kind.js';
import { renderError } from '../../render/errors.js';
import { renderJson } from '../../render/json.js';
import { renderSummary } from '../../render/summary.js';
import { unlessUncaught } from '../../uncaught.js';
import { runMatrix } from './kernel-matrix.js';
import { openQueueOf, type QueueCommandOptions } from './queue.js';

export interface ReproOptions extends QueueCommandOptions {
  readonly attempts?: number;
  readonly forks?: number;
  readonly timeout?: number;
  readonly untilReproduced?: number;
  readonly until?: string;
  readonly out?: string;
  readonly resume?: string;
  readonly acceptChanges?: boolean;
  readonly fresh?: boolean;
  readonly checkpoints?: number | 'marks';
  readonly when?: boolean;
  readonly shard?: Shard | 'auto';
  readonly shards?: number;
  readonly seed?: number;
  readonly guest?: string;
  readonly kernel?: readonly string[];
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly github?: boolean;
}

const HELP = `
Exit status, as git bisect run expects it: 0 not reproduced, 1 reproduced, 2 usage error, 125 inconclusive, 130 interrupted.
An attempt that throws (a failed command, an assertion) is inconclusive. If there is one and none is reproduced, the status is 125; to
count it as a failure, use fail() or failOn: 'throw' in the scenario.

With several --kernel, the run directory has one run for each kernel, and a report that compares them. Exit status: that of all
runs together; 1 when the failure is reproduced with any kernel.

--shard auto reads the variables of GitLab CI, Buildkite, CircleCI, Slurm arrays and Kubernetes Indexed Jobs (with --shards N), and
QMPILOT_JOB_INDEX (from 0) and QMPILOT_JOB_TOTAL for GitHub Actions. Merge the run directories of all shards with qmpilot report.

With --until: 0 the rate is shown to be below the limit, 1 above it, 125 neither.

With --queue, the attempts are made by qmpilot worker on any number of machines; QMPILOT_QUEUE_KEY has to be the same secret here and
there. The scenario is sent to them with all that it imports by relative paths.

With --json, standard output has one JSON line for each attempt and one for the summary; with --when, those of qmpilot when follow. The
exit status is that of the run, also when its moment was not found.`;

export function registerRepro(program: Command): void {
  program
    .command('repro')
    .description('run a scenario again and again from one snapshot, and count how often it fails')
    .argument(
      '[file]',
      'scenario: a TypeScript or JavaScript file that exports defineScenario(...) (default with --resume: the scenario of the run)',
    )
    .option('--attempts <n>', 'number of attempts (default: 10; with --resume, that of the run)', wholeNumber)
    .option('--forks <n>', 'VMs in parallel (default: as many as CPUs and memory allow)', wholeNumber)
    .option('--timeout <time>', 'time limit of one attempt: 90s, 3m (default: that of the scenario)', duration)
    .option('--until-reproduced <k>', 'stop after this many reproduced attempts', wholeNumber)
    .option('--until <goal>', 'stop when this is shown or refuted, such as "rate<0.01@95%"', rateGoal)
    .option('--out <dir>', 'run directory, new or empty (default: runs/NAME-TIME)')
    .option('--guest <name>', 'use another guest of the scenario')
    .option(
      '--kernel <kernel>',
      'boot another kernel: a Debian package, .deb, built tree or bzImage (repeatable: one run for each, compared with the first)',
      repeated,
    )
    .option('--resume <dir>', 'continue the run in this directory; finished attempts are kept')
    .option('--accept-changes', 'with --resume: continue although the scenario or its guest has changed')
    .option(
      '--checkpoints <time>',
      "keep snapshots along each attempt, for qmpilot when: 2s, or marks: only at the scenario's checkpoint()",
      checkpoints,
    )
    .option('--when', 'with --checkpoints: after a failure, find its moment as qmpilot when does')
    .option('--fresh', 'boot and prepare the guest, even if an earlier run has cached it')
    .option(
      '--shard <i/n>',
      'run only this part of the attempts: 2/5, or auto: by the variables of the CI system or scheduler',
      shardArgument,
    )
    .option(
      '--shards <n>',
      'with --shard auto: number of parts, where the environment does not provide it',
      wholeNumber,
    )
    .option('--seed <n>', 'seed of the run, from which each attempt gets its own', seed)
    .option('--queue <url>', 'let qmpilot worker on other machines make the attempts: redis://HOST:PORT')
    .option('--evidence <dir>', 'with --queue: a directory that all machines share, for the files of attempts')
    .option(
      '--lease <time>',
      'with --queue: when a worker is silent for so long, others make its attempts (default: 30s)',
      duration,
    )
    .option('--json', 'print JSON lines')
    .option('--quiet', 'print only the summary and errors')
    .option('--github', 'print annotations for GitHub Actions (default: when run there)')
    .option('--no-github', 'print no annotations')
    .addHelpText('after', helpText(HELP))
    .action(async (given: string | undefined, options: ReproOptions) => {
      const file = given ?? (await fileOfRun(options.resume));
      const github = options.github ?? process.env['GITHUB_ACTIONS'] === 'true';
      const { kernel = [] } = options;
      checkWhen(options);
      if (kernel.length > 1) {
        process.exitCode = await runMatrix(kernel, options, (each) => run(file, each, github));
        return;
      }
      const summary = await run(file, options, github);
      if (options.json !== true) process.stdout.write(renderSummary(summary));
      process.exitCode = exitCodeOfRun(summary);
      if (options.when === true && summary.reproduced > 0) await whenOf(summary, file, options);
    });
}

async function run(file: string, options: ReproOptions, github: boolean): Promise<RunSummary> {
  const json = options.json === true;
  const shard = await shardOf(options);
  const { loadScenario } = await import('../../load-scenario.js');
  const { scenario: loaded, source } = await loadScenario(file);
  const onItsGuest = options.guest === undefined ? loaded : onGuest(loaded, options.guest);
  const [kernel] = options.kernel ?? [];
  const scenario = kernel === undefined ? onItsGuest : onKernel(onItsGuest, kernel);
  const { githubAnnotations, guardedCommands } = await import('../../render/github.js');
  const queue = await openQueueOf('repro', options, { scenario: file, guest: options.guest, kernel });
  const guard = github ? guardedCommands() : undefined;
  process.stderr.write(guard?.begin ?? '');
  const { runDisplay } = await import('../../progress/run-display.js');
  const display = runDisplay(displayKind(options.quiet === true));
  try {
    const summary = await interruptible(
      'ending the run',
      (interrupted) =>
        unlessUncaught((uncaught) =>
          runScenario(scenario, {
            attempts: options.attempts,
            forks: options.forks,
            timeout: options.timeout,
            untilReproduced: options.untilReproduced,
            until: options.until,
            dir: options.out,
            resume: options.resume,
            acceptChanges: options.acceptChanges,
            fresh: options.fresh,
            checkpoints: options.checkpoints,
            shard,
            seed: options.seed,
            source,
            queue,
            signal: AbortSignal.any([interrupted, uncaught]),
            onEvent: (event) => {
              display.show(event);
              if (json && event.type === 'attempt') display.print(`${renderJson(event.record, false)}\n`);
              if (json && event.type === 'summary') display.print(`${renderJson(event.summary, false)}\n`);
            },
          }),
        ),
      (text) => display.say(text),
    );
    display.close();
    if (guard) process.stderr.write(`${guard.end}${githubAnnotations(scenario.name ?? basename(file), summary)}`);
    return summary;
  } finally {
    display.close();
    await queue?.close();
  }
}

/** @throws {USAGE} for `--when` of a run that keeps no checkpoints, or that is not one run */
function checkWhen({ when, checkpoints: kept, resume, kernel = [] }: ReproOptions): void {
  if (when !== true) return;
  if (kept === undefined && resume === undefined)
    throw new QmpilotError('USAGE', 'repro: --when needs --checkpoints', { hint: 'add --checkpoints 2s' });
  if (kernel.length > 1)
    throw new QmpilotError('USAGE', 'repro: --when cannot be combined with several --kernel', {
      hint: 'run the kernels, and then qmpilot when for one of the runs',
    });
}

/** Finds the moment of the first failure that has checkpoints. The verdict of the run is valid without it. */
async function whenOf(
  { dir }: RunSummary,
  scenario: string,
  { forks, acceptChanges, json, quiet }: ReproOptions,
): Promise<void> {
  const { showWhen } = await import('./when.js');
  try {
    await showWhen(dir, undefined, {
      scenario,
      ...(acceptChanges === true && { acceptChanges }),
      ...(forks !== undefined && { forks }),
      ...(json === true && { json }),
      ...(quiet === true && { quiet }),
    });
  } catch (error) {
    if (!isQmpilotError(error) || error.code === 'ABORTED') throw error;
    process.stderr.write(renderError(error));
  }
}

async function shardOf({ shard, shards }: ReproOptions): Promise<Shard | undefined> {
  if (shard === 'auto') {
    const { shardFromEnvironment } = await import('@qmpilot/core/report');
    return shardFromEnvironment(process.env, shards);
  }
  if (shards !== undefined)
    throw new QmpilotError('USAGE', 'repro: --shards is for --shard auto', {
      hint: 'write --shard 2/5, or --shard auto',
    });
  return shard;
}

async function fileOfRun(resume: string | undefined): Promise<string> {
  if (resume === undefined)
    throw new QmpilotError('USAGE', "missing required argument 'file'", {
      hint: 'use qmpilot repro FILE, or qmpilot repro --resume DIR',
    });
  const { readRunFile } = await import('@qmpilot/core/report');
  const { source } = await readRunFile(resume);
  if (source) return source.file;
  throw new QmpilotError('USAGE', `${resume} does not record its scenario file`, {
    hint: 'name the file as well: qmpilot repro FILE --resume DIR',
  });
}
