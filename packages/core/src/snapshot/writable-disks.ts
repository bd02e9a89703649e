import type { MachineSpec } from '../qemu/command-line/machine-spec.js';
import type { QmpReturn } from '../qmp/protocol/messages.js';
import type { SnapshotBlocker } from './blockers.js';

/** A disk that the guest can write to, as QEMU has it. */
export interface WritableDisk {
  /** Name of its block node. */
  readonly node: string;
  readonly file: string;
  readonly format: string;
}

/** Those of QEMU's `query-block` that hold what is written to them. */
export function writableDisks(blocks: QmpReturn<'query-block'>): WritableDisk[] {
  return blocks.flatMap(({ inserted }) => {
    if (!inserted || inserted.ro || /^null-(?:co|aio)$/.test(inserted.image.format)) return [];
    return [{ node: inserted['node-name'] ?? '', file: inserted.image.filename, format: inserted.image.format }];
  });
}

/** Disks that came by arguments of the user's own: each fork would write to the same image. Those of a script are read back and get overlays. */
export function sharedDiskBlockers(
  { disks, readBack }: MachineSpec,
  writable: readonly WritableDisk[],
): SnapshotBlocker[] {
  if (readBack) return [];
  const ours = new Set(disks.map(({ id, node }) => node ?? id));
  return writable
    .filter(({ node }) => !ours.has(node))
    .map(({ file, format }) => ({
      reason: `the disk ${file} has no overlay of this VM's own, and a fork would write to it as well`,
      remedy: `name it among the disks of the guest, as { file, format: '${format}' }, or give it read-only`,
    }));
}
