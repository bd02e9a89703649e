import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { interruptible } from '../../interrupt.js';

export function registerPress(program: Command): void {
  program
    .command('press')
    .description('press keys on the serial console of a VM, one after the other')
    .argument('<vm>', 'name of the VM')
    .argument('<key...>', 'Enter, C-c, C-b, M-x, Up, F5, q, ...')
    .action(async (name: string, keys: string[]) => {
      await interruptible('cancelling', (signal) => call(name, 'press', { keys }, { signal }));
    });
}
