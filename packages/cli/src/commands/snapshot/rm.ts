import { QmpilotError, removeSavedSnapshots } from '@qmpilot/core';
import type { Command } from 'commander';

export function registerRm(snapshot: Command): void {
  snapshot
    .command('rm')
    .description('remove saved snapshots; VMs that were started from them keep running')
    .argument('[name...]', 'names, or unique beginnings of names')
    .option('--all', 'remove all of them')
    .action(async (names: string[], { all = false }: { all?: boolean }) => {
      if (!all && names.length === 0)
        throw new QmpilotError('USAGE', 'snapshot rm: no name given', {
          hint: 'name them as qmpilot snapshot ls shows them, or use --all',
        });
      for (const name of await removeSavedSnapshots(all ? 'all' : names)) process.stdout.write(`${name}\n`);
    });
}
