import { resolve } from 'node:path';
import { formatDuration } from '@qmpilot/core/internal';
import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { interruptible } from '../../interrupt.js';

export function registerSave(snapshot: Command): void {
  snapshot
    .command('save')
    .description('save RAM, devices and disks of a VM under a name; the VM keeps running')
    .argument('<vm>', 'name of the VM')
    .argument('<snapshot>', 'name for the snapshot')
    .argument('[directory]', 'save it to this new directory as well, for qmpilot boot --from')
    .action(async (name: string, wanted: string, directory: string | undefined) => {
      const { pausedMs } = await interruptible('cancelling', (signal) =>
        directory === undefined
          ? call(name, 'snapshot', { snapshot: wanted }, { signal })
          : call(name, 'saveSnapshot', { snapshot: wanted, directory: resolve(directory) }, { signal }),
      );
      process.stderr.write(`the guest was paused for ${formatDuration(pausedMs)}\n`);
    });
}
