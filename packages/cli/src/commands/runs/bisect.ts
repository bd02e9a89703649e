import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { QmpilotError } from '@qmpilot/core';
import type { BisectEvent, BisectSubject } from '@qmpilot/core/bisect';
import { onKernel } from '@qmpilot/core/internal';
import type { Command } from 'commander';
import { duration, probability, repeated, wholeNumber } from '../../arguments.js';
import { EXIT } from '../../exit-codes.js';
import { helpText } from '../../help.js';
import { interruptible } from '../../interrupt.js';
import { displayKind } from '../../progress/display-kind.js';
import { jsonLine, renderJson } from '../../render/json.js';
import { unlessUncaught } from '../../uncaught.js';

interface BisectCommandOptions {
  readonly repo?: string;
  readonly good?: string;
  readonly bad?: string;
  readonly replay?: string;
  readonly path?: readonly string[];
  readonly build?: string;
  readonly install?: string;
  readonly kernel?: string;
  readonly kernels?: string;
  readonly suite?: string;
  readonly buildAhead?: boolean;
  readonly signature?: string;
  readonly rate?: number;
  readonly background?: number;
  readonly certainty?: number;
  readonly maxBuilds?: number;
  readonly maxTime?: number;
  readonly maxEndAttempts?: number;
  readonly forks?: number;
  readonly queue?: string;
  readonly out?: string;
  readonly resume?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const HELP = `
The build command runs by sh -c in a worktree of its own and puts what the scenario needs into the directory $QMPILOT_OUT. If it
ends with another exit status than 0, the commit is skipped. The scenario file is loaded for each build; it finds the
directory in process.env.QMPILOT_BUILD. With --install, the files are copied into the guest, and the command runs there as root
before prepare. With --kernel, the guest boots that file of the build.

With --kernels, the guest boots one kernel package of Debian after the other; they are ordered by their versions, and --good and
--bad are names or versions.

With --queue, --out has to be in a directory that all machines share at the same path: workers find the builds there.
QMPILOT_QUEUE_KEY has to be the same secret here and there.

Exit status: 0 the commit or kernel was found and confirmed, 2 usage error, 125 it was not found or not confirmed, 130 interrupted.

With --json, standard output has one JSON line for each series of attempts and one for the result.`;

export function registerBisect(program: Command): void {
  program
    .command('bisect')
    .description('find the commit that introduced a failure which does not occur in every attempt')
    .argument('[file]', 'scenario (default with --resume: that of the bisection)')
    .option('--repo <dir>', 'git repository (default: the working directory)')
    .option('--good <revision>', 'revision without the failure, or with it less often (default of kernels: the oldest)')
    .option('--bad <revision>', 'revision with the failure (default: HEAD; of kernels: the newest)')
    .option('--replay <file>', 'take good, bad and skipped revisions from the output of git bisect log')
    .option('--path <path>', 'only commits that change this file or directory (repeatable)', repeated)
    .option('--build <command>', 'command that builds a commit')
    .option('--install <command>', 'command that installs the files of a build, in $QMPILOT_OUT of the guest')
    .option('--kernel <file>', 'boot this file of the build, as with repro --kernel')
    .option('--kernels <pattern>', "kernel packages of Debian instead of commits: 'linux-image-6.1*-cloud-amd64'")
    .option('--suite <suite>', 'with --kernels: the release of Debian that has them (default: bookworm)')
    .option('--signature <signature>', 'the failure that counts (default: the most frequent one at the bad end)')
    .option('--rate <rate>', 'known failure rate from the culprit on: 20% (default: unknown)', probability)
    .option('--background <rate>', 'known failure rate before the culprit; 0 for none (default: unknown)', probability)
    .option('--certainty <probability>', 'confirm an answer from this probability on (default: 95%)', probability)
    .option('--max-builds <n>', 'stop after this many builds', wholeNumber)
    .option('--max-time <time>', 'stop after this time of builds and attempts: 90m, 8h', duration)
    .option('--max-end-attempts <n>', 'attempts at each end until the ends differ (default: 400)', wholeNumber)
    .option('--forks <n>', 'VMs in parallel (default: as many as CPUs and memory allow)', wholeNumber)
    .option('--queue <url>', 'let qmpilot worker on other machines make the attempts: redis://HOST:PORT')
    .option('--no-build-ahead', 'do not build likely commits while attempts run')
    .option('--out <dir>', 'directory of the bisection, new or empty (default: bisections/TIME)')
    .option('--resume <dir>', 'continue the bisection in this directory; finished steps are kept')
    .option('--json', 'print JSON lines')
    .option('--quiet', 'print only the result and errors')
    .addHelpText('after', helpText(HELP))
    .action(async (file: string | undefined, given: BisectCommandOptions) => {
      process.exitCode = await run(file, given);
    });
}

async function run(given: string | undefined, options: BisectCommandOptions): Promise<number> {
  const about = await describe(given, options);
  const { file, ...range } = about;
  const { loadScenario, readScenarioSource } = await import('../../load-scenario.js');
  const source = await readScenarioSource(file);
  const { kernel } = options;
  const identity =
    kernel === undefined ? source : { file: source.file, sha256: await hash(`${source.sha256} ${kernel}`) };
  const [{ bisect }, { bisectDisplay }] = await Promise.all([
    import('@qmpilot/core/bisect'),
    import('../../progress/bisect/bisect-display.js'),
  ]);
  const queue = await queueOf(options, source);
  const display = bisectDisplay(displayKind(options.quiet === true));
  const show = (event: BisectEvent) => {
    display.show(event);
    if (options.json === true && event.type === 'attempts') display.print(`${renderJson({ v: 1, ...event }, false)}\n`);
  };
  const result = await interruptible(
    'ending the bisection',
    (interrupted) =>
      unlessUncaught((uncaught) =>
        bisect({
          ...range,
          scenario: async (build) => {
            // By the environment the file learns of the build.
            process.env['QMPILOT_BUILD'] = build.dir;
            process.env['QMPILOT_COMMIT'] = build.commit;
            const { scenario } = await loadScenario(source.file);
            return kernel === undefined ? scenario : onKernel(scenario, join(build.dir, kernel));
          },
          source: identity,
          signature: options.signature,
          rate: options.rate,
          background: options.background,
          certainty: options.certainty,
          maxBuilds: options.maxBuilds,
          maxTime: options.maxTime,
          maxEndAttempts: options.maxEndAttempts,
          forks: options.forks,
          queue,
          ...(options.buildAhead === false && { buildAhead: false }),
          dir: options.out,
          resume: options.resume,
          signal: AbortSignal.any([interrupted, uncaught]),
          onEvent: show,
        }),
      ),
    (text) => display.say(text),
  ).finally(() => display.close());
  if (options.json === true) process.stdout.write(jsonLine('result', result));
  else
    process.stdout.write(
      `${await readFile(join(result.dir, 'report.md'), 'utf8')}- report: ${join(result.dir, 'report.html')}\n`,
    );
  return result.state === 'confirmed' ? EXIT.fine : EXIT.cannotTell;
}

/** Returns what opens the queue for each series of attempts. Opens it once before, as the first build may take long. */
async function queueOf({ queue: url, kernel: file }: BisectCommandOptions, source: { file: string; sha256: string }) {
  if (url === undefined) return undefined;
  const { openQueue } = await import('@qmpilot/core/queue');
  const known = { url, scenario: source.file, source: source.sha256 };
  await (await openQueue(known)).close();
  return ({ build, install, kernel }: BisectSubject) => {
    const { dir, commit } = build;
    return openQueue({
      ...known,
      kernel: file === undefined ? kernel : join(dir, file),
      build: { dir, commit, install },
    });
  };
}

/** What is bisected: from the options, or from the directory that `--resume` names. */
async function describe(file: string | undefined, options: BisectCommandOptions) {
  const { readBisection, readGitBisectLog } = await import('@qmpilot/core/internal');
  const before = options.resume === undefined ? undefined : await readBisection(options.resume);
  const marks = options.replay === undefined ? undefined : await readGitBisectLog(options.replay);
  const required = (value: string | undefined, name: string) => {
    if (value !== undefined) return value;
    throw new QmpilotError('USAGE', `bisect: missing ${name}`, {
      hint: 'use qmpilot bisect FILE --good REVISION --build COMMAND, or --kernels PATTERN, or qmpilot bisect --resume DIR',
    });
  };
  const scenario = required(file ?? before?.source?.file, 'the scenario file');
  const kernels = options.kernels ?? before?.kernels?.pattern;
  if (kernels !== undefined) {
    const other = (['repo', 'build', 'path', 'install', 'kernel', 'replay'] as const).find(
      (name) => options[name] !== undefined,
    );
    if (other !== undefined)
      throw new QmpilotError('USAGE', `bisect: --kernels cannot be combined with --${other}`, {
        hint: 'kernels are packages of Debian, and are not built; for commits leave --kernels out',
      });
    return {
      file: scenario,
      kernels,
      suite: options.suite ?? before?.kernels?.suite,
      good: options.good ?? before?.good,
      bad: options.bad ?? before?.bad,
    };
  }
  if (options.suite !== undefined)
    throw new QmpilotError('USAGE', 'bisect: --suite is the release that --kernels are taken from', {
      hint: 'the release of a guest is an option of debian() in the scenario',
    });
  return {
    file: scenario,
    repo: resolve(options.repo ?? before?.repo ?? '.'),
    // The last good revision of a log is the nearest to its answer.
    good: required(options.good ?? before?.good ?? marks?.good.at(-1), '--good'),
    bad: options.bad ?? before?.bad ?? marks?.bad ?? 'HEAD',
    alsoGood: before?.alsoGood ?? (options.good === undefined ? marks?.good.slice(0, -1) : marks?.good),
    skip: before?.skip ?? marks?.skip,
    paths: options.path ?? before?.paths ?? [],
    build: required(options.build ?? before?.build, '--build'),
    install: options.install ?? before?.install,
  };
}

async function hash(text: string): Promise<string> {
  const { createHash } = await import('node:crypto');
  return createHash('sha256').update(text).digest('hex');
}
