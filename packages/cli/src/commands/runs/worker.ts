import { fileURLToPath } from 'node:url';
import { QmpilotError } from '@qmpilot/core';
import type { WorkerEvent } from '@qmpilot/core/queue';
import type { Command } from 'commander';
import { wholeNumber } from '../../arguments.js';
import { helpText } from '../../help.js';
import { interruptible } from '../../interrupt.js';
import { briefProgress } from '../../render/boot-progress.js';
import { shortMs } from '../../render/text/durations.js';
import { visible } from '../../render/text/visible.js';

interface WorkerCommandOptions {
  readonly queue?: string;
  readonly forks?: number;
  readonly evidence?: string;
  readonly quiet?: boolean;
}

const HELP = `
A worker runs the scenarios that the queue gives it, with the rights of its user. It takes only runs that are signed with the secret in
QMPILOT_QUEUE_KEY, which has to be the same for the run and for all workers, and only runs of its own version of qmpilot. Use rediss:// and
a password where others can reach the network: rediss://:PASSWORD@HOST:6380.

It makes attempts of one run at a time, the oldest one, until that has ended. Ctrl-C and SIGTERM end it: attempts that it was making are
made by other workers. Environment variables that a scenario reads are those of the worker.`;

export function registerWorker(program: Command): void {
  program
    .command('worker')
    .description('make attempts of runs that other machines put into a queue')
    .option('--queue <url>', 'Redis or Valkey: redis://HOST:PORT (default: $QMPILOT_QUEUE)')
    .option('--forks <n>', 'VMs in parallel (default: as many as CPUs and memory allow)', wholeNumber)
    .option('--evidence <dir>', 'path of the directory of repro --evidence on this machine, where it differs')
    .option('--quiet', 'print only errors')
    .addHelpText('after', helpText(HELP))
    .action(async ({ queue = process.env['QMPILOT_QUEUE'], forks, evidence, quiet }: WorkerCommandOptions) => {
      if (queue === undefined)
        throw new QmpilotError('USAGE', 'worker: missing --queue', {
          hint: 'use qmpilot worker --queue redis://HOST:PORT, or set QMPILOT_QUEUE',
        });
      const { runWorker } = await import('@qmpilot/core/queue');
      await interruptible('giving the attempts back', (signal) =>
        runWorker({
          url: queue,
          forks,
          evidence,
          program: fileURLToPath(new URL('worker-process.js', import.meta.url)),
          signal,
          onEvent: (event) => {
            if (quiet !== true) process.stderr.write(`${renderEvent(event)}\n`);
          },
        }),
      );
    });
}

function renderEvent(event: WorkerEvent): string {
  switch (event.type) {
    case 'progress':
      return visible(briefProgress(event.message));
    case 'run':
      return `run ${visible(event.name)}: ${event.forks} ${event.forks === 1 ? 'attempt' : 'attempts'} in parallel`;
    case 'attempt': {
      const { index, checkpoint, outcome, ms } = event;
      const name = checkpoint === undefined ? `attempt ${index}` : `fork ${index} of checkpoint ${checkpoint}`;
      return `${name}: ${outcome} after ${shortMs(ms)}`;
    }
    case 'end':
      return `end of run ${visible(event.name)}: ${visible(event.reason)}`;
  }
}
