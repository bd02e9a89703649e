import { rm } from 'node:fs/promises';
import { QmpilotError } from '@qmpilot/core';
import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { list, requireVm } from '../../daemon/state.js';
import { helpText } from '../../help.js';
import { awaitEnd } from './await-end.js';
import { chooseVms } from './choose.js';

const HELP = `
A VM that is powered off and has snapshots is removed only by its name, as it could still be restored.`;

export function registerRm(program: Command): void {
  program
    .command('rm')
    .description('remove VMs that have ended or are powered off, with their logs')
    .argument('[vm...]', 'names of VMs')
    .option('--all', 'remove all that have ended')
    .addHelpText('after', helpText(HELP))
    .action(async (names: string[], { all = false }: { all?: boolean }) => {
      for (const name of await chooseVms('rm', names, all, ({ life }) => life !== 'running')) {
        await remove(name);
        process.stdout.write(`${name}\n`);
      }
      if (all) await reportLeft();
    });
}

async function remove(name: string): Promise<void> {
  const vm = await requireVm(name);
  if (vm.life === 'running') {
    const { status } = await call(name, 'status', {});
    if (status !== 'off')
      throw new QmpilotError('USAGE', `the VM ${name} is running`, { hint: `end it first: qmpilot stop ${name}` });
    await call(name, 'stop', {});
    await awaitEnd(name);
  }
  await rm(vm.directory, { recursive: true, force: true });
}

async function reportLeft(): Promise<void> {
  for (const { record, life } of await list()) {
    if (life !== 'running') continue;
    const { name } = record;
    const status = await call(name, 'status', {}).catch(() => undefined);
    const why =
      status?.status === 'off'
        ? `powered off, can be restored; remove it by qmpilot rm ${name}`
        : 'running; end it by qmpilot stop';
    process.stderr.write(`not removed: ${name} (${why})\n`);
  }
}
