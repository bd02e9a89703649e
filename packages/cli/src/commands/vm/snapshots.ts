import type { Command } from 'commander';
import { interruptible } from '../../interrupt.js';
import { call } from '../../keeper/client.js';
import { shortMs } from '../../render/durations.js';
import { renderJson } from '../../render/json.js';

/** `restore` and `fork`; `snapshot save` is with the other verbs of `snapshot`. */
export function registerRestore(program: Command): void {
  program
    .command('restore')
    .description('put a vm back to a snapshot')
    .argument('<vm>', 'its name')
    .argument('<snapshot>', 'the name of the snapshot')
    .action(async (name: string, snapshot: string) => {
      const { ms } = await interruptible((signal) => call(name, 'restore', { snapshot }, { signal }));
      process.stderr.write(`restored in ${ms} ms\n`);
    });

  program
    .command('fork')
    .description('a new vm that starts at the snapshot of another, and shares its memory until it writes')
    .argument('<vm>', 'whose snapshot')
    .argument('<snapshot>', 'the name of the snapshot')
    .argument('<name>', 'the name of the new vm')
    .option('--json', 'the new vm as a JSON line')
    .action(async (name: string, snapshot: string, fork: string, options: { json?: boolean }) => {
      const status = await interruptible((signal) => call(name, 'fork', { snapshot, name: fork }, { signal }));
      process.stdout.write(options.json === true ? `${renderJson({ v: 1, type: 'vm', ...status }, false)}\n` : `${fork}\n`);
    });
}

export function registerSnapshotSave(snapshot: Command): void {
  snapshot
    .command('save')
    .description('keep RAM, devices and disks of a vm as they are now; the vm goes on')
    .argument('<vm>', 'its name')
    .argument('<snapshot>', 'a name for the snapshot')
    .action(async (name: string, wanted: string) => {
      const { pausedMs } = await interruptible((signal) => call(name, 'snapshot', { snapshot: wanted }, { signal }));
      process.stderr.write(`the guest stood still for ${shortMs(pausedMs)}\n`);
    });
}
