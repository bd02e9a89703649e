import { listKept, QmpilotError, removeKept, type KeptSnapshot } from '@qmpilot/core';
import type { Command } from 'commander';
import { visible } from '../render/visible.js';
import { renderJson } from '../render/json.js';

export function registerSnapshot(program: Command): void {
  const snapshot = program.command('snapshot').description('snapshots that were kept, so that a run starts without booting');

  snapshot
    .command('ls')
    .description('list the kept snapshots, the last used first')
    .option('--json', 'one JSON line for each')
    .action(async (options: { json?: boolean }) => {
      const kept = await listKept();
      for (const one of kept) {
        process.stdout.write(options.json === true ? `${renderJson({ v: 1, type: 'snapshot', ...one }, false)}\n` : `${renderKept(one, Date.now())}\n`);
      }
      if (kept.length === 0 && options.json !== true) process.stderr.write('no snapshots are kept yet: qmpilot repro keeps one of each prepared guest\n');
    });

  snapshot
    .command('rm')
    .description('remove kept snapshots; what runs on one goes on')
    .argument('[name...]', 'names, or how they begin')
    .option('--all', 'all of them')
    .action(async (names: string[], options: { all?: boolean }) => {
      if (options.all !== true && names.length === 0) throw new QmpilotError('USAGE', 'snapshot rm: which?', { hint: 'name them as snapshot ls shows them, or say --all' });
      for (const name of await removeKept(options.all === true ? 'all' : names)) process.stdout.write(`${name}\n`);
    });
}

/** Name, guest, QEMU, RAM, size really used, age. */
function renderKept({ name, guest, qemu, memoryMiB, bytes, savedAt }: KeptSnapshot, now: number): string {
  const version = /^[\d.]+/.exec(qemu)?.[0] ?? qemu;
  return visible(`${name}  ${guest}  QEMU ${version}  ${memoryMiB} MiB RAM  ${(bytes / 2 ** 20).toFixed(0)} MiB on disk  ${age(now - Date.parse(savedAt))}`);
}

function age(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 60) return `${minutes} min old`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h old` : `${Math.floor(hours / 24)} days old`;
}
