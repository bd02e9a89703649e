import { rm } from 'node:fs/promises';
import { isQmpilotError } from '@qmpilot/core';
import type { Command } from 'commander';
import { call } from '../../keeper/client.js';
import { list, type NamedVm } from '../../keeper/state.js';
import type { VmStatus } from '../../keeper/verbs.js';
import { shortMs } from '../../render/durations.js';
import { renderJson } from '../../render/json.js';
import { renderTable } from '../../render/table.js';
import { visible } from '../../render/visible.js';

export function registerPs(program: Command): void {
  program
    .command('ps')
    .description('list the named vms')
    .option('--all', 'those that have ended, too')
    .option('--json', 'one JSON line for each')
    .action(async (options: { all?: boolean; json?: boolean }) => {
      const vms = (await list()).filter(({ life }) => life !== 'ended' || options.all === true);
      const rows = await Promise.all(vms.map(describe));
      const shown = rows.filter((row) => row !== undefined);
      if (options.json === true)
        for (const row of shown) process.stdout.write(`${renderJson({ v: 1, type: 'vm', ...row }, false)}\n`);
      else if (shown.length === 0) process.stderr.write('there are no vms: qmpilot boot --name NAME debian\n');
      else process.stdout.write(renderTable([HEAD, ...shown.map(cells)]));
    });
}

type Row =
  | VmStatus
  | {
      readonly name: string;
      readonly status: string;
      readonly guest: string;
      readonly reason?: string;
      readonly startedAt: string;
    };

async function describe({ record, life, directory }: NamedVm): Promise<Row | undefined> {
  const { name, guest, createdAt: startedAt, ended } = record;
  if (life === 'ended') return { name, status: 'ended', guest, startedAt, ...(ended && { reason: ended.reason }) };
  if (life === 'gone') {
    await rm(directory, { recursive: true, force: true });
    process.stderr.write(`${name}: its keeper was killed; its state is removed\n`);
    return undefined;
  }
  try {
    return await call(name, 'status', {});
  } catch (error) {
    if (!isQmpilotError(error, 'CLOSED') && !isQmpilotError(error, 'NOT_FOUND')) throw error;
    return { name, status: 'starting', guest, startedAt };
  }
}

const HEAD = ['NAME', 'STATUS', 'GUEST', 'AGE', 'CPUS', 'MEMORY', 'ACCEL', 'QEMU', 'SNAPSHOTS', 'NOTE'];

function cells(row: Row): string[] {
  const age = shortMs(Date.now() - Date.parse(row.startedAt));
  // Last, as it may be long.
  const note = visible(row.reason ?? '');
  if (!('qemuPid' in row)) return [row.name, row.status, row.guest, age, '-', '-', '-', '-', '-', note];
  const names = row.snapshots.map(({ name }) => name).join(',') || '-';
  return [
    row.name,
    row.status,
    row.guest,
    age,
    String(row.cpus),
    `${row.memoryMiB} MiB`,
    row.accelerator,
    String(row.qemuPid),
    names,
    note,
  ];
}
