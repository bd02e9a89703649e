import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { interruptible } from '../../interrupt.js';
import { jsonLine } from '../../render/json.js';

export function registerFork(program: Command): void {
  program
    .command('fork')
    .description('start a new VM from a snapshot of another; they share memory until one of them writes to it')
    .argument('<vm>', 'name of the VM that has the snapshot')
    .argument('<snapshot>', 'name of the snapshot')
    .argument('<name>', 'name for the new VM')
    .option('--json', 'print the new VM as a JSON line')
    .action(async (name: string, snapshot: string, fork: string, options: { json?: boolean }) => {
      const status = await interruptible('cancelling', (signal) =>
        call(name, 'fork', { snapshot, name: fork }, { signal }),
      );
      process.stdout.write(options.json === true ? jsonLine('vm', status) : `${fork}\n`);
    });
}
