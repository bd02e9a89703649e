import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { interruptible } from '../../interrupt.js';
import { momentMs } from '../../render/durations.js';

export function registerSave(snapshot: Command): void {
  snapshot
    .command('save')
    .description('save RAM, devices and disks of a VM under a name; the VM keeps running')
    .argument('<vm>', 'name of the VM')
    .argument('<snapshot>', 'name for the snapshot')
    .action(async (name: string, wanted: string) => {
      const { pausedMs } = await interruptible('cancelling', (signal) =>
        call(name, 'snapshot', { snapshot: wanted }, { signal }),
      );
      process.stderr.write(`the guest was paused for ${momentMs(pausedMs)}\n`);
    });
}
