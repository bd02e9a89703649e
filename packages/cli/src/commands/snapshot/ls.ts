import { listSavedSnapshots, type SavedSnapshot } from '@qmpilot/core';
import { formatDuration } from '@qmpilot/core/internal';
import type { SnapshotInfo } from '@qmpilot/core/vm';
import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { jsonLine } from '../../render/json.js';
import { ageOf } from '../../render/text/durations.js';
import type { Column } from '../../render/text/table.js';
import { visible } from '../../render/text/visible.js';

export function registerLs(snapshot: Command): void {
  snapshot
    .command('ls')
    .description('list the saved snapshots, most recently used first, or the snapshots of a VM')
    .argument('[vm]', 'name of a VM')
    .option('--json', 'print one JSON line for each')
    .action(async (name: string | undefined, { json = false }: { json?: boolean }) => {
      if (name !== undefined) {
        const { snapshots } = await call(name, 'status', {});
        const lines = snapshots.map(({ name: own, strategy, savedAt, pausedMs }) => ({
          vm: name,
          name: own,
          strategy,
          savedAt,
          pausedMs,
        }));
        await print(
          snapshots,
          lines,
          OF_VM,
          json,
          `VM ${name} has no snapshots; make one: qmpilot snapshot save ${name} NAME`,
        );
        return;
      }
      const saved = await listSavedSnapshots();
      await print(
        saved,
        saved,
        SAVED,
        json,
        'no saved snapshots; qmpilot repro saves one of each prepared guest that allows it',
      );
    });
}

async function print<Row>(
  rows: readonly Row[],
  lines: readonly object[],
  columns: readonly Column<Row>[],
  json: boolean,
  none: string,
): Promise<void> {
  if (json) for (const line of lines) process.stdout.write(jsonLine('snapshot', line));
  else if (rows.length === 0) process.stderr.write(`${none}\n`);
  else {
    const { renderTable } = await import('../../render/text/table.js');
    process.stdout.write(renderTable(columns, rows, process.stdout.columns));
  }
}

const OF_VM: readonly Column<SnapshotInfo>[] = [
  { title: 'NAME', value: ({ name }) => name },
  { title: 'STRATEGY', value: ({ strategy }) => strategy },
  { title: 'AGE', value: ({ savedAt }) => ageOf(savedAt) },
  { title: 'GUEST PAUSED', value: ({ pausedMs }) => formatDuration(pausedMs), hide: 1 },
];

const SAVED: readonly Column<SavedSnapshot>[] = [
  // Whole: snapshots are named by their ends, and the name is an argument of other commands.
  { title: 'NAME', value: ({ name }) => visible(name) },
  { title: 'GUEST', value: ({ guest }) => visible(guest), minWidth: 10, hide: 2 },
  { title: 'QEMU', value: ({ qemu }) => visible(/^[\d.]+/.exec(qemu)?.[0] ?? qemu), hide: 4 },
  { title: 'RAM', value: ({ memoryMiB }) => `${memoryMiB} MiB`, hide: 5 },
  { title: 'ON DISK', value: ({ bytes }) => `${(bytes / 2 ** 20).toFixed(0)} MiB`, hide: 3 },
  { title: 'AGE', value: ({ savedAt }) => ageOf(savedAt), hide: 1 },
];
