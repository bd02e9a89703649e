import { rm } from 'node:fs/promises';
import { formatShutdown, QmpilotError, type PoweroffReport } from '@qmpilot/core';
import type { Command } from 'commander';
import { duration } from '../../arguments.js';
import { EXIT } from '../../exit-codes.js';
import { interruptible } from '../../interrupt.js';
import { call } from '../../keeper/client.js';
import { list, mustFind, mustRun } from '../../keeper/state.js';
import { renderJson } from '../../render/json.js';
import { visible } from '../../render/visible.js';

/** It came to its end, in time or late. */
const OFF: ReadonlySet<PoweroffReport['outcome']> = new Set(['clean', 'slow']);

export function registerEnd(program: Command): void {
  program
    .command('poweroff')
    .description('ask a vm to power off, follow it to the end, and say where it stalls')
    .argument('<vm>', 'its name')
    .option('--timeout <time>', 'how long it may take (default: 3m)', duration)
    .option('--json', 'the report as a JSON line')
    .addHelpText(
      'after',
      '\nExit status: 0 it is off, 1 it stalled, panicked or came up again; then the vm is still there.',
    )
    .action(async (name: string, options: { timeout?: number; json?: boolean }) => {
      const report = await interruptible('following it no longer', (signal) =>
        call(
          name,
          'poweroff',
          { timeout: options.timeout },
          { signal, onEvent: ({ phase }) => void process.stderr.write(`${phase}\n`) },
        ),
      );
      process.stdout.write(
        options.json === true
          ? `${renderJson({ v: 1, type: 'poweroff', vm: name, ...report }, false)}\n`
          : `${formatShutdown(report).split('\n').map(visible).join('\n')}\n`,
      );
      process.exitCode = OFF.has(report.outcome) ? EXIT.fine : EXIT.found;
    });

  program
    .command('stop')
    .description('end vms at once, as by pulling the plug')
    .argument('[vm...]', 'their names')
    .option('--all', 'all of them')
    .action(async (names: string[], options: { all?: boolean }) => {
      const chosen = await choose('stop', names, options, 'running');
      for (const name of chosen) {
        await mustRun(name);
        await call(name, 'stop', {});
        await ended(name);
        process.stdout.write(`${name}\n`);
      }
    });

  program
    .command('rm')
    .description('forget vms that have ended: their logs go')
    .argument('[vm...]', 'their names')
    .option('--all', 'all that have ended')
    .action(async (names: string[], options: { all?: boolean }) => {
      for (const name of await choose('rm', names, options, 'ended')) {
        const vm = await mustFind(name);
        if (vm.life === 'running')
          throw new QmpilotError('USAGE', `the vm ${name} is running`, { hint: `end it first: qmpilot stop ${name}` });
        await rm(vm.directory, { recursive: true, force: true });
        process.stdout.write(`${name}\n`);
      }
    });
}

async function choose(
  verb: string,
  names: readonly string[],
  options: { all?: boolean },
  life: 'running' | 'ended',
): Promise<readonly string[]> {
  if (options.all !== true && names.length === 0)
    throw new QmpilotError('USAGE', `${verb}: which?`, { hint: 'name vms as qmpilot ps shows them, or say --all' });
  if (options.all !== true) return names;
  return (await list())
    .filter((vm) => (life === 'running' ? vm.life === 'running' : vm.life !== 'running'))
    .map(({ record }) => record.name);
}

/** Until the keeper has put everything away. */
async function ended(name: string): Promise<void> {
  const limit = performance.now() + 30_000;
  while ((await mustFind(name)).life === 'running') {
    if (performance.now() > limit)
      throw new QmpilotError('TIMEOUT', `timed out after 30 s waiting for the VM ${name} to end`, {
        hint: 'qmpilot ps shows the pid of its keeper',
      });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
