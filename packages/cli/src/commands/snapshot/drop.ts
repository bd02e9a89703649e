import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { interruptible } from '../../interrupt.js';

export function registerDrop(snapshot: Command): void {
  snapshot
    .command('drop')
    .description('remove a snapshot of a VM, and free its memory; the VM and its forks keep running')
    .argument('<vm>', 'name of the VM')
    .argument('<snapshot>', 'name of the snapshot')
    .action(async (name: string, unwanted: string) => {
      await interruptible('cancelling', (signal) => call(name, 'removeSnapshot', { snapshot: unwanted }, { signal }));
      process.stdout.write(`${unwanted}\n`);
    });
}
