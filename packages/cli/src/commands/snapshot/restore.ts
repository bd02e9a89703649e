import { formatDuration } from '@qmpilot/core/internal';
import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { interruptible } from '../../interrupt.js';

export function registerRestore(program: Command): void {
  program
    .command('restore')
    .description('restore a VM from one of its snapshots')
    .argument('<vm>', 'name of the VM')
    .argument('<snapshot>', 'name of the snapshot')
    .action(async (name: string, snapshot: string) => {
      const { ms } = await interruptible('cancelling', (signal) => call(name, 'restore', { snapshot }, { signal }));
      process.stderr.write(`restored in ${formatDuration(ms)}\n`);
    });
}
