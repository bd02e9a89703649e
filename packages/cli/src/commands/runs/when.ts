import type { WhenEvent, WhenResult } from '@qmpilot/core/report';
import { InvalidArgumentError, type Command } from 'commander';
import { duration, probability, wholeNumber } from '../../arguments.js';
import { EXIT } from '../../exit-codes.js';
import { helpText } from '../../help.js';
import { interruptible } from '../../interrupt.js';
import { displayKind } from '../../progress/display-kind.js';
import { jsonLine, renderJson } from '../../render/json.js';
import { unlessUncaught } from '../../uncaught.js';
import { openQueueOf, type QueueCommandOptions } from './queue.js';

interface WhenCommandOptions extends QueueCommandOptions {
  readonly scenario?: string;
  readonly forks?: number;
  readonly maxForks?: number;
  readonly confidence?: number;
  readonly keep?: string;
  readonly fresh?: boolean;
  readonly acceptChanges?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const HELP = `
The run has to be made with repro --checkpoints. Forks of a checkpoint get random numbers and a clock of their own; what ran in the
guest goes on in them. They are judged by fromCheckpoint of the scenario; without it, by its detectors.

With --queue, the forks are made by qmpilot worker on any number of machines. The run directory has to be in a directory that all of them
share at the same path, and so has the cache of images, which checkpoints of guests with disks refer to; QEMU has to be the same everywhere.

The same command goes on with a search that was interrupted: finished forks are in the folder of the attempt.

Exit status: 0 the rise was found and confirmed, 2 usage error, 125 it was not, 130 interrupted.

With --json, standard output has one JSON line for each fork and one for the result.`;

export function registerWhen(program: Command): void {
  program
    .command('when')
    .description('find the moment at which a failure becomes probable, by forks of the checkpoints of an attempt')
    .argument('<run>', 'run directory')
    .argument('[attempt]', 'number of a failing attempt (default: the first with checkpoints)', attemptNumber)
    .option('--scenario <file>', 'scenario (default: that of the run)')
    .option('--forks <n>', 'VMs in parallel (default: as many as CPUs and memory allow)', wholeNumber)
    .option('--max-forks <n>', 'stop after this many forks (default: 300)', wholeNumber)
    .option('--confidence <probability>', 'of the confirmation (default: 95%)', probability)
    .option('--queue <url>', 'let qmpilot worker on other machines make the forks: redis://HOST:PORT')
    .option('--evidence <dir>', 'with --queue: a directory that all machines share, for the files of forks')
    .option(
      '--lease <time>',
      'with --queue: when a worker is silent for so long, others make its forks (default: 30s)',
      duration,
    )
    .option('--keep <dir>', 'save the checkpoint before the rise, for boot --from')
    .option('--fresh', 'begin again, without the forks that were made before')
    .option('--accept-changes', 'go on although the scenario has changed since')
    .option('--json', 'print JSON lines')
    .option('--quiet', 'print only the result and errors')
    .addHelpText('after', helpText(HELP))
    .action(async (dir: string, attempt: number | undefined, options: WhenCommandOptions) => {
      const { verdict } = await showWhen(dir, attempt, options);
      process.exitCode = verdict === 'unconfirmed' ? EXIT.cannotTell : EXIT.fine;
    });
}

function attemptNumber(text: string): number {
  if (/^\d{1,9}$/.test(text) && Number(text) >= 1) return Number(text);
  throw new InvalidArgumentError('It must be the number of an attempt.');
}

/** Makes forks of the checkpoints of an attempt, and prints the answer. */
export async function showWhen(
  dir: string,
  attempt: number | undefined,
  options: WhenCommandOptions,
): Promise<WhenResult> {
  const { measureWhen, readRunFile, renderWhen } = await import('@qmpilot/core/report');
  const file = options.scenario ?? (await scenarioOf(dir, readRunFile));
  const [{ loadScenario }, { whenDisplay }] = await Promise.all([
    import('../../load-scenario.js'),
    import('../../progress/when/when-display.js'),
  ]);
  const { scenario, source } = await loadScenario(file);
  const queue = await openQueueOf('when', options, { scenario: file, source: source.sha256 });
  const display = whenDisplay(displayKind(options.quiet === true));
  const json = options.json === true;
  const show = (event: WhenEvent) => {
    display.show(event);
    if (json && event.type === 'fork') display.print(`${renderJson(event.fork, false)}\n`);
  };
  try {
    const result = await interruptible(
      'ending the search; the same command goes on with it',
      (interrupted) =>
        unlessUncaught((uncaught) =>
          measureWhen(scenario, {
            run: dir,
            attempt,
            forks: options.forks,
            maxForks: options.maxForks,
            confidence: options.confidence,
            keep: options.keep,
            fresh: options.fresh,
            acceptChanges: options.acceptChanges,
            source,
            queue,
            signal: AbortSignal.any([interrupted, uncaught]),
            onEvent: show,
          }),
        ),
      (text) => display.say(text),
    );
    display.close();
    process.stdout.write(json ? jsonLine('when', result) : renderWhen(result));
    return result;
  } finally {
    display.close();
    await queue?.close();
  }
}

async function scenarioOf(
  dir: string,
  readRunFile: typeof import('@qmpilot/core/report').readRunFile,
): Promise<string> {
  const { source } = await readRunFile(dir);
  if (source) return source.file;
  const { QmpilotError } = await import('@qmpilot/core');
  throw new QmpilotError('USAGE', `${dir} does not record its scenario file`, {
    hint: 'name the file as well: qmpilot when RUN --scenario FILE',
  });
}
