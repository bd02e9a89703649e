import type { PreparedGuest } from '../guests/guest.js';
import type { AcceleratorChoice } from '../qemu/accelerator.js';
import { acquireHostDirectories, releaseHostDirectories } from '../qemu/host/directories.js';
import type { Machine } from '../qemu/process/machine.js';
import type { SnapshotContext } from '../snapshot/context.js';
import type { SnapshotStore } from '../snapshot/store.js';

/** Properties that a VM and all its forks share. */
export interface VmFamily {
  readonly guest: PreparedGuest;
  readonly context: SnapshotContext;
  readonly accelerator: AcceleratorChoice;
  readonly snapshots: SnapshotStore;
}

/** A family that makes VMs of the type `V`: a type parameter, so that what `Vm` is built from does not import it. */
export interface ForkableFamily<V> extends VmFamily {
  /** Makes a VM of a machine that was started; `directory` is removed with it. */
  makeVm(machine: Machine, directory: string): V;
}

/** Keeps the family's snapshots and the host's directories until the returned function is called. */
export function holdFamily({ snapshots }: VmFamily): () => Promise<void> {
  snapshots.retain();
  // They exist already, as long as the family does.
  acquireHostDirectories().catch(() => {});
  return async () => {
    await snapshots.release();
    await releaseHostDirectories();
  };
}
