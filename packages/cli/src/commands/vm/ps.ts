import { rm } from 'node:fs/promises';
import { isQmpilotError } from '@qmpilot/core';
import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { list, type NamedVm } from '../../daemon/state.js';
import type { VmStatus } from '../../daemon/verbs.js';
import { jsonLine } from '../../render/json.js';
import { paint } from '../../render/text/color.js';
import { ageOf } from '../../render/text/durations.js';
import type { Column } from '../../render/text/table.js';
import { visible } from '../../render/text/visible.js';

export function registerPs(program: Command): void {
  program
    .command('ps')
    .description('list the named VMs')
    .option('--all', 'list those that have ended as well')
    .option('--json', 'print one JSON line for each')
    .action(async ({ all = false, json = false }: { all?: boolean; json?: boolean }) => {
      const vms = (await list()).filter(({ life }) => life !== 'ended' || all);
      const rows = (await Promise.all(vms.map(describe))).filter((row) => row !== undefined);
      if (json) for (const row of rows) process.stdout.write(jsonLine('vm', row));
      else if (rows.length === 0) process.stderr.write('no VMs; boot one: qmpilot boot --name NAME debian\n');
      else {
        const { renderTable } = await import('../../render/text/table.js');
        process.stdout.write(renderTable(COLUMNS, rows, process.stdout.columns));
      }
    });
}

type Row = Pick<VmStatus, 'name' | 'status' | 'guest' | 'reason' | 'startedAt'> & Partial<VmStatus>;

async function describe({ record, life, directory }: NamedVm): Promise<Row | undefined> {
  const { name, guest, createdAt: startedAt, ended } = record;
  if (life === 'ended') return { name, status: 'ended', guest, startedAt, ...(ended && { reason: ended.reason }) };
  if (life === 'gone') {
    await rm(directory, { recursive: true, force: true });
    process.stderr.write(`${name}: its daemon was killed; its state is removed\n`);
    return undefined;
  }
  try {
    return await call(name, 'status', {});
  } catch (error) {
    if (!isQmpilotError(error, 'CLOSED') && !isQmpilotError(error, 'NOT_FOUND')) throw error;
    return { name, status: 'starting', guest, startedAt };
  }
}

const NONE = '-';

const COLUMNS: readonly Column<Row>[] = [
  { title: 'NAME', value: ({ name }) => name, minWidth: 8 },
  { title: 'STATUS', value: ({ status }) => status, style: (cell, { status }) => paint(colorOf(status), cell) },
  { title: 'GUEST', value: ({ guest }) => guest, minWidth: 8, hide: 1 },
  { title: 'AGE', value: ({ startedAt }) => ageOf(startedAt) },
  { title: 'CPUS', value: ({ cpus }) => String(cpus ?? NONE), hide: 3 },
  { title: 'MEMORY', value: ({ memoryMiB }) => (memoryMiB === undefined ? NONE : `${memoryMiB} MiB`), hide: 2 },
  { title: 'ACCEL', value: ({ accelerator }) => accelerator ?? NONE, hide: 4 },
  { title: 'QEMU PID', value: ({ qemuPid }) => String(qemuPid ?? NONE), hide: 5 },
  {
    title: 'SNAPSHOTS',
    value: ({ snapshots = [] }) => snapshots.map(({ name }) => name).join(',') || NONE,
    minWidth: 9,
  },
  { title: 'NOTE', value: ({ reason = '' }) => visible(reason), minWidth: 12 },
];

function colorOf(status: string): 'green' | 'yellow' | 'dim' {
  if (status === 'running') return 'green';
  return status === 'ended' || status === 'off' ? 'dim' : 'yellow';
}
