import { SnapshotStore } from '../snapshot/store.js';
import type { ForkableFamily, VmFamily } from './family.js';
import { Vm } from './vm.js';

/** Creates a family without snapshots. Its store has one user: the first VM, or who opened the snapshot. */
export function createFamily(parts: Omit<VmFamily, 'snapshots'>): ForkableFamily<Vm> {
  const family: ForkableFamily<Vm> = {
    ...parts,
    snapshots: new SnapshotStore(),
    makeVm: (machine, directory) => new Vm(family, machine, directory),
  };
  return family;
}
