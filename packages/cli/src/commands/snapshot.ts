import { listSavedSnapshots, QmpilotError, removeSavedSnapshots, type SavedSnapshot } from '@qmpilot/core';
import type { Command } from 'commander';
import { call } from '../keeper/client.js';
import { renderJson } from '../render/json.js';
import { visible } from '../render/visible.js';

export function registerSnapshot(program: Command): void {
  const snapshot = program
    .command('snapshot')
    .description('snapshots of named vms, and those kept on disk, so that a run starts without booting');

  snapshot
    .command('ls')
    .description('list the saved snapshots, the last used first, or those of a vm')
    .argument('[vm]', 'the name of a vm: its snapshots')
    .option('--json', 'one JSON line for each')
    .action(async (name: string | undefined, options: { json?: boolean }) => {
      if (name !== undefined) return listOfVm(name, options);
      const kept = await listSavedSnapshots();
      for (const one of kept) {
        process.stdout.write(
          options.json === true
            ? `${renderJson({ v: 1, type: 'snapshot', ...one }, false)}\n`
            : `${renderSaved(one, Date.now())}\n`,
        );
      }
      if (kept.length === 0 && options.json !== true)
        process.stderr.write('no snapshots are saved yet: qmpilot repro keeps one of each prepared guest\n');
    });

  snapshot
    .command('rm')
    .description('remove saved snapshots; what runs on one goes on')
    .argument('[name...]', 'names, or how they begin')
    .option('--all', 'all of them')
    .action(async (names: string[], options: { all?: boolean }) => {
      if (options.all !== true && names.length === 0)
        throw new QmpilotError('USAGE', 'snapshot rm: which?', {
          hint: 'name them as snapshot ls shows them, or say --all',
        });
      for (const name of await removeSavedSnapshots(options.all === true ? 'all' : names))
        process.stdout.write(`${name}\n`);
    });
}

async function listOfVm(vm: string, { json }: { json?: boolean }): Promise<void> {
  const { snapshots } = await call(vm, 'status', {});
  for (const { name, strategy, savedAt, pausedMs } of snapshots) {
    const one = { name, strategy, savedAt, pausedMs };
    process.stdout.write(
      json === true
        ? `${renderJson({ v: 1, type: 'snapshot', vm, ...one }, false)}\n`
        : `${name}  ${strategy}  ${age(Date.now() - Date.parse(savedAt))}\n`,
    );
  }
  if (snapshots.length === 0 && json !== true)
    process.stderr.write(`${vm} has no snapshots: qmpilot snapshot save ${vm} NAME\n`);
}

/** Name, guest, QEMU, RAM, size really used, age. */
function renderSaved({ name, guest, qemu, memoryMiB, bytes, savedAt }: SavedSnapshot, now: number): string {
  const version = /^[\d.]+/.exec(qemu)?.[0] ?? qemu;
  return visible(
    `${name}  ${guest}  QEMU ${version}  ${memoryMiB} MiB RAM  ${(bytes / 2 ** 20).toFixed(0)} MiB on disk  ${age(now - Date.parse(savedAt))}`,
  );
}

function age(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 60) return `${minutes} min old`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h old` : `${Math.floor(hours / 24)} days old`;
}
