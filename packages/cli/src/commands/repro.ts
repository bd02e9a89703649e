import { onGuest, runScenario, type RunEvent, type RunSummary } from '@qmpilot/core';
import type { Command } from 'commander';
import { duration, seed, wholeNumber } from '../arguments.js';
import { EXIT } from '../exit-codes.js';
import { interruptible } from '../interrupt.js';
import { loadScenario } from '../load-scenario.js';
import { shortMs } from '../render/durations.js';
import { renderFinding } from '../render/findings.js';
import { renderSummary } from '../render/summary.js';
import { visible } from '../render/visible.js';

interface ReproOptions {
  readonly attempts: number;
  readonly timeout?: number;
  readonly untilReproduced?: number;
  readonly out?: string;
  readonly seed?: number;
  readonly guest?: string;
  readonly json?: boolean;
}

const HELP = `
Exit status: 0 never reproduced, 1 reproduced, 2 usage, 125 cannot tell, 130 interrupted.
With --json, standard output carries one JSON line for each attempt and one for the summary.`;

export function registerRepro(program: Command): void {
  program
    .command('repro')
    .description('run the attempts of a scenario from one snapshot, and count how often it fails')
    .argument('<file>', 'a scenario: a TypeScript or JavaScript file that exports defineScenario(...)')
    .option('--attempts <n>', 'how many attempts', wholeNumber, 10)
    .option('--timeout <time>', 'limit of one attempt: 90s, 3m (default: as the scenario says)', duration)
    .option('--until-reproduced <k>', 'stop after so many reproduced attempts', wholeNumber)
    .option('--out <dir>', 'the run directory, new or empty (default: runs/NAME-TIME)')
    .option('--guest <name>', 'run on another of the guests that the scenario names')
    .option('--seed <n>', 'the same seed gives the attempts the same seeds', seed)
    .option('--json', 'JSON lines on standard output')
    .addHelpText('after', HELP)
    .action(async (file: string, options: ReproOptions) => {
      const json = options.json === true;
      const shown = new Set<string>();
      const summary = await interruptible(async (signal) => {
        const { scenario, source } = await loadScenario(file);
        return runScenario(options.guest === undefined ? scenario : onGuest(scenario, options.guest), {
          attempts: options.attempts,
          timeout: options.timeout,
          untilReproduced: options.untilReproduced,
          dir: options.out,
          seed: options.seed,
          source,
          signal,
          onEvent: (event) => {
            const line = isRepeated(event, shown) ? undefined : renderEvent(event, options.attempts);
            if (line !== undefined) process.stderr.write(`${line}\n`);
            if (json && event.type === 'attempt') process.stdout.write(`${JSON.stringify(event.record)}\n`);
            if (json && event.type === 'summary') process.stdout.write(`${JSON.stringify(event.summary)}\n`);
          },
        });
      });
      if (!json) process.stdout.write(renderSummary(summary));
      process.exitCode = exitCode(summary);
    });
}

/** The kernel says the same again and again: people read it once an attempt. */
function isRepeated(event: RunEvent, shown: Set<string>): boolean {
  if (event.type === 'attempt-started') shown.clear();
  if (event.type !== 'finding') return false;
  const { signature, task } = event.finding;
  const key = `${signature}\0${task?.pid ?? ''}`;
  const known = shown.has(key);
  shown.add(key);
  return known;
}

export function exitCode({ reproduced, clean }: RunSummary): number {
  if (reproduced > 0) return EXIT.found;
  return clean > 0 ? EXIT.fine : EXIT.cannotTell;
}

/** One line of progress; undefined for what people need not see. */
export function renderEvent(event: RunEvent, attempts: number): string | undefined {
  switch (event.type) {
    case 'progress':
      return event.message.split('\n').map(visible).join('\n');
    case 'booted':
      return `guest ${visible(event.facts.guest.name)}, kernel ${visible(event.facts.guest.kernelRelease ?? 'of its own')}: up after ${shortMs(event.ms)}`;
    case 'prepared':
      return `prepared in ${shortMs(event.ms)}; the snapshot took ${event.snapshotMs.toFixed(0)} ms`;
    case 'attempt-started':
      return `attempt ${event.index} of ${attempts}`;
    case 'note':
      return `  ${visible(event.text)}`;
    case 'finding':
      return `  ${event.finding.severity}: ${renderFinding(event.finding)}`;
    case 'poweroff':
      return `  poweroff: ${event.phase}`;
    case 'attempt': {
      const { outcome, reason, ms, restoreMs } = event.record;
      return `  => ${outcome}${reason === undefined ? '' : ` (${visible(reason)})`} after ${shortMs(ms)}, restored in ${restoreMs} ms`;
    }
    case 'summary':
      return undefined;
  }
}
