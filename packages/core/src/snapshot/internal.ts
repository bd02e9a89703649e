import { QmpilotError } from '../errors.js';
import type { DiskSpec } from '../qemu/command-line.js';
import type { Machine } from '../qemu/machine.js';
import type { WaitOptions } from '../util/deadline.js';
import type { SnapshotBlocker } from './blockers.js';

/** A snapshot inside the qcow2 overlays of one running machine: it lives and ends with that QEMU. */
export interface InternalSnapshot {
  readonly strategy: 'internal';
  readonly machine: Machine;
  readonly tag: string;
}

let count = 0;

/** What stands in the way of an internal snapshot before QEMU is asked. */
export function internalBlockers({ disks, readBack }: Machine['spec']): readonly SnapshotBlocker[] {
  if (disks.some(canHold)) return [];
  const [obstacle] = readBack?.obstacles ?? [];
  return [{
    reason: 'an internal snapshot needs a writable qcow2 disk to hold the RAM, and this guest has none',
    remedy: obstacle
      ? `give it one (qmpilot.snapshot.stateDiskMiB in NixOS): no other strategy does, for ${obstacle.reason}; to mend that: ${obstacle.remedy}`
      : "use the strategy 'template', which needs no disk",
  }];
}

function canHold({ format, readOnly }: DiskSpec): boolean {
  return format === 'qcow2' && !readOnly;
}

/**
 * Saves RAM, devices and disks into the machine's overlays (QMP `snapshot-save`).
 * @throws {SNAPSHOT} without a disk that can hold it
 * @throws {QMP_JOB} {TIMEOUT} {ABORTED} {QMP_LINK}
 */
export async function saveInternal(machine: Machine, options: WaitOptions): Promise<InternalSnapshot> {
  const tag = `qmpilot-${(count += 1)}`;
  await machine.qmp.runJob('snapshot-save', { 'job-id': `save-${tag}`, ...where(machine, tag) }, options);
  return { strategy: 'internal', machine, tag };
}

/** The machine is paused afterwards. */
export async function loadInternal(machine: Machine, snapshot: InternalSnapshot, options: WaitOptions): Promise<void> {
  if (machine !== snapshot.machine) {
    throw new QmpilotError('SNAPSHOT', 'this internal snapshot belongs to a QEMU that has ended or was replaced', {
      hint: "use the strategy 'template': its snapshots outlive the machine",
    });
  }
  await machine.qmp.execute('stop', undefined, options);
  await machine.qmp.runJob('snapshot-load', { 'job-id': `load-${snapshot.tag}`, ...where(machine, snapshot.tag) }, options);
}

export async function removeInternal({ machine, tag }: InternalSnapshot): Promise<void> {
  if (machine.process.exit) return;
  const { devices } = where(machine, tag);
  await machine.qmp.runJob('snapshot-delete', { 'job-id': `delete-${tag}`, ...{ tag, devices } }, {});
}

function where({ spec }: Machine, tag: string): { tag: string; vmstate: string; devices: readonly string[] } {
  const devices = spec.disks.filter(canHold).map((disk) => disk.node ?? disk.id);
  const [vmstate = ''] = devices;
  const [blocker] = internalBlockers(spec);
  if (blocker) throw new QmpilotError('SNAPSHOT', blocker.reason, { hint: blocker.remedy });
  return { tag, vmstate, devices };
}
