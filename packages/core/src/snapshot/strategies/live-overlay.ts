import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { DiskSpec } from '../../qemu/command-line/machine-spec.js';
import type { Machine } from '../../qemu/process/machine.js';
import type { Cleanup } from '../../util/async/cleanup.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import { forkDisks, type BaseDisk } from './overlay.js';

let overlayCount = 0;

interface Overlay {
  readonly disk: DiskSpec;
  /** The block node below it, which the guest writes to until then. */
  readonly below: string;
}

/** Gives QEMU an empty overlay for each disk that the guest can write to. Nothing uses them yet. */
export async function addOverlays(
  machine: Machine,
  disks: readonly BaseDisk[],
  options: WaitOptions,
  undo: Cleanup,
): Promise<readonly Overlay[]> {
  const { qmp, spec, directory } = machine;
  const folder = await mkdtemp(join(directory, 'overlays-'));
  undo.add('the new overlays', () => removeDirectory(folder));
  const overlays: Overlay[] = [];
  for (const [index, disk] of (await forkDisks(disks, folder)).entries()) {
    const below = spec.disks[index];
    if (disk.readOnly || !below) continue;
    // At most 31 characters.
    const node = `${disk.id.slice(0, 20)}.${(overlayCount += 1)}`;
    await qmp.execute(
      'blockdev-add',
      {
        'driver': 'qcow2',
        'node-name': node,
        'cache': { 'no-flush': true },
        'discard': 'unmap',
        'file': { driver: 'file', filename: disk.file, locking: 'off' },
        'backing': null,
      },
      options,
    );
    undo.add('the block node', () => qmp.execute('blockdev-del', { 'node-name': node }));
    overlays.push({ disk: { ...disk, node }, below: below.node ?? below.id });
  }
  return overlays;
}

/** Has the guest write to its new overlays: to all of them, or none. */
export async function switchDisks(machine: Machine, overlays: readonly Overlay[], options: WaitOptions): Promise<void> {
  if (overlays.length === 0) return;
  const actions = overlays.map(({ disk, below }) => ({
    type: 'blockdev-snapshot' as const,
    data: { node: below, overlay: disk.node ?? disk.id },
  }));
  options.signal?.throwIfAborted();
  // Not to be given up halfway.
  await machine.qmp.execute('transaction', { actions });
  const byId = new Map(overlays.map(({ disk }) => [disk.id, disk]));
  machine.spec = { ...machine.spec, disks: machine.spec.disks.map((disk) => byId.get(disk.id) ?? disk) };
}
