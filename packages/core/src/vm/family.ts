import type { PreparedGuest } from '../guests/guest.js';
import type { AcceleratorChoice } from '../qemu/host/accelerator.js';
import { acquireHostDirectories, releaseHostDirectories } from '../qemu/host/directories.js';
import type { Machine } from '../qemu/process/machine.js';
import type { SnapshotContext } from '../snapshot/context.js';
import type { SnapshotStore } from '../snapshot/store.js';
import type { Vm } from './vm.js';

/** What a vm and all its forks have in common. */
export interface VmFamily {
  readonly guest: PreparedGuest;
  readonly context: SnapshotContext;
  readonly accelerator: AcceleratorChoice;
  readonly snapshots: SnapshotStore;
  /** A further vm on a machine that was started; `directory` goes with it. */
  makeVm(machine: Machine, directory: string): Vm;
}

/** Holds the family's snapshots and the host's folders, from now on until what is given is called. */
export function holdFamily({ snapshots }: VmFamily): () => Promise<void> {
  snapshots.retain();
  // They are there, for as long as there is a family.
  acquireHostDirectories().catch(() => {});
  return async () => {
    await snapshots.release();
    await releaseHostDirectories();
  };
}
