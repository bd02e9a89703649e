import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { requireRunning } from '../../daemon/state.js';
import { awaitEnd } from './await-end.js';
import { chooseVms } from './choose.js';

export function registerStop(program: Command): void {
  program
    .command('stop')
    .description('end VMs at once, without a shutdown of the guest')
    .argument('[vm...]', 'names of VMs')
    .option('--all', 'end all of them')
    .action(async (names: string[], { all = false }: { all?: boolean }) => {
      for (const name of await chooseVms('stop', names, all, ({ life }) => life === 'running')) {
        await requireRunning(name);
        await call(name, 'stop', {});
        await awaitEnd(name);
        process.stdout.write(`${name}\n`);
      }
    });
}
