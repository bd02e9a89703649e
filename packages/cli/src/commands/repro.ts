import { basename } from 'node:path';
import { onGuest, QmpilotError, readRunFile, runScenario, type RunSummary, type Shard } from '@qmpilot/core';
import type { Command } from 'commander';
import { duration, rateGoal, seed, shard, wholeNumber } from '../arguments.js';
import { EXIT } from '../exit-codes.js';
import { interruptible } from '../interrupt.js';
import { loadScenario } from '../load-scenario.js';
import { RunDisplay } from '../progress/run-display.js';
import { githubAnnotations, guardedCommands } from '../render/github.js';
import { renderJson } from '../render/json.js';
import { renderSummary } from '../render/summary.js';
import { unlessUncaught } from '../uncaught.js';

interface ReproOptions {
  readonly attempts?: number;
  readonly forks?: number;
  readonly timeout?: number;
  readonly untilReproduced?: number;
  readonly until?: string;
  readonly out?: string;
  readonly resume?: string;
  readonly acceptChanges?: boolean;
  readonly fresh?: boolean;
  readonly shard?: Shard;
  readonly seed?: number;
  readonly guest?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly github?: boolean;
}

const HELP = `
Exit status: 0 never reproduced, 1 reproduced, 2 usage, 125 cannot tell, 130 interrupted: what git bisect run wants.
An attempt that threw (a failed command, an assertion) is inconclusive, and without a reproduced one the status is 125:
let it count by fail() or failOn: 'throw' in the scenario.
With --until, 0 when the rate is shown to be below the limit, 1 when above, 125 when neither.
With --json, standard output carries one JSON line for each attempt and one for the summary.`;

export function registerRepro(program: Command): void {
  program
    .command('repro')
    .description('run the attempts of a scenario from one snapshot, and count how often it fails')
    .argument(
      '[file]',
      'a scenario: a TypeScript or JavaScript file that exports defineScenario(...); with --resume, that of the run by default',
    )
    .option('--attempts <n>', 'how many attempts (default: 10; with --resume, those of the run)', wholeNumber)
    .option('--forks <n>', 'how many at a time (default: what cores and memory carry)', wholeNumber)
    .option('--timeout <time>', 'limit of one attempt: 90s, 3m (default: as the scenario says)', duration)
    .option('--until-reproduced <k>', 'stop after so many reproduced attempts', wholeNumber)
    .option('--until <goal>', 'stop when this is shown or refuted: "rate<0.01@95%"', rateGoal)
    .option('--out <dir>', 'the run directory, new or empty (default: runs/NAME-TIME)')
    .option('--guest <name>', 'run on another of the guests that the scenario names')
    .option('--resume <dir>', 'go on with the run in this directory: finished attempts count, the others are made')
    .option('--accept-changes', 'with --resume: although the scenario or its guest is another one')
    .option('--fresh', 'boot and prepare the guest, even if it is cached (see qmpilot snapshot ls)')
    .option('--shard <i/n>', 'make the attempts of this part only: 2/5', shard)
    .option('--seed <n>', 'the same seed gives the attempts the same seeds', seed)
    .option('--json', 'JSON lines on standard output')
    .option('--quiet', 'no progress; the summary and errors only')
    .option('--github', 'annotations for GitHub Actions (default: there)')
    .option('--no-github', 'no annotations')
    .addHelpText('after', HELP)
    .action(async (given: string | undefined, options: ReproOptions) => {
      const file = given ?? (await fileOfRun(options.resume));
      const github = options.github ?? process.env['GITHUB_ACTIONS'] === 'true';
      const summary = await run(file, options, github);
      if (options.json !== true) process.stdout.write(renderSummary(summary));
      process.exitCode = exitCode(summary);
    });
}

async function run(file: string, options: ReproOptions, github: boolean): Promise<RunSummary> {
  const json = options.json === true;
  const { scenario: loaded, source } = await loadScenario(file);
  const scenario = options.guest === undefined ? loaded : onGuest(loaded, options.guest);
  const guard = github ? guardedCommands() : undefined;
  process.stderr.write(guard?.begin ?? '');
  const display = new RunDisplay(RunDisplay.kind(options.quiet === true));
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
            shard: options.shard,
            seed: options.seed,
            source,
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
  }
}

async function fileOfRun(resume: string | undefined): Promise<string> {
  if (resume === undefined)
    throw new QmpilotError('USAGE', "missing required argument 'file'", {
      hint: 'qmpilot repro FILE, or qmpilot repro --resume DIR',
    });
  const { source } = await readRunFile(resume);
  if (source) return source.file;
  throw new QmpilotError('USAGE', `${resume} does not say which scenario file it is a run of`, {
    hint: 'name the file, too',
  });
}

function exitCode({ reproduced, clean, threw, goal }: RunSummary): number {
  // A thrown error may be the failure: git bisect must not take the commit for good.
  if (threw > 0 && reproduced === 0) return EXIT.cannotTell;
  if (goal) {
    if (goal.decision === 'open') return EXIT.cannotTell;
    // Whichever way the goal is put: a rate above the limit is the bug, one below is its absence.
    return (goal.decision === 'holds') === goal.goal.startsWith('rate>') ? EXIT.found : EXIT.fine;
  }
  if (reproduced > 0) return EXIT.found;
  return clean > 0 ? EXIT.fine : EXIT.cannotTell;
}
