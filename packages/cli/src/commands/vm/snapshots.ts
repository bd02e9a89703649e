import type { Command } from 'commander';
import { interruptible } from '../../interrupt.js';
import { call } from '../../keeper/client.js';
import { momentMs } from '../../render/durations.js';
import { renderJson } from '../../render/json.js';

/** `restore` and `fork`; `snapshot save` and `drop` are with the other verbs of `snapshot`. */
export function registerRestore(program: Command): void {
  program
    .command('restore')
    .description('put a vm back to a snapshot')
    .argument('<vm>', 'its name')
    .argument('<snapshot>', 'the name of the snapshot')
    .action(async (name: string, snapshot: string) => {
      const { ms } = await interruptible('waiting no longer', (signal) =>
        call(name, 'restore', { snapshot }, { signal }),
      );
      process.stderr.write(`restored in ${momentMs(ms)}\n`);
    });

  program
    .command('fork')
    .description('a new vm that starts at the snapshot of another, and shares its memory until it writes')
    .argument('<vm>', 'whose snapshot')
    .argument('<snapshot>', 'the name of the snapshot')
    .argument('<name>', 'the name of the new vm')
    .option('--json', 'the new vm as a JSON line')
    .action(async (name: string, snapshot: string, fork: string, options: { json?: boolean }) => {
      const status = await interruptible('waiting no longer', (signal) =>
        call(name, 'fork', { snapshot, name: fork }, { signal }),
      );
      process.stdout.write(
        options.json === true ? `${renderJson({ v: 1, type: 'vm', ...status }, false)}\n` : `${fork}\n`,
      );
    });
}

export function registerSnapshotVerbs(snapshot: Command): void {
  snapshot
    .command('save')
    .description('keep RAM, devices and disks of a vm as they are now; the vm goes on')
    .argument('<vm>', 'its name')
    .argument('<snapshot>', 'a name for the snapshot')
    .action(async (name: string, wanted: string) => {
      const { pausedMs } = await interruptible('waiting no longer', (signal) =>
        call(name, 'snapshot', { snapshot: wanted }, { signal }),
      );
      process.stderr.write(`the guest stood still for ${momentMs(pausedMs)}\n`);
    });
  snapshot
    .command('drop')
    .description('remove a snapshot of a vm, and free its memory; the vm and its forks go on')
    .argument('<vm>', 'its name')
    .argument('<snapshot>', 'the name of the snapshot')
    .action(async (name: string, unwanted: string) => {
      await interruptible('waiting no longer', (signal) =>
        call(name, 'removeSnapshot', { snapshot: unwanted }, { signal }),
      );
      process.stdout.write(`${unwanted}\n`);
    });
}
