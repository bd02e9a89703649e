import { rm } from 'node:fs/promises';
import type { MachineSpec } from '../../qemu/command-line/machine-spec.js';
import type { QemuBinary } from '../../qemu/host/binary.js';
import { startMachine, type Machine, type SavedState } from '../../qemu/process/machine.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { forkDisks, type FrozenDisk } from './overlay.js';
import { removeRamFile } from './ram-file.js';

/**
 * A machine at one moment, as files that nobody writes to any more. `template`: RAM is a file that forks map private, so that
 * a fork costs what it changes, whatever the size. `file`: RAM is in the state, and each fork reads all of it.
 */
export interface FrozenMachine {
  readonly strategy: 'template' | 'file';
  readonly directory: string;
  /** Of a template. */
  readonly ramFile: string | undefined;
  readonly state: SavedState;
  /** The machine type behind an alias such as `q35`. */
  readonly machineType: string;
  /** What a fork is started from; its disks are overlays of `disks`. */
  readonly spec: MachineSpec;
  readonly disks: readonly FrozenDisk[];
}

export interface ForkStart extends WaitOptions {
  readonly name: string;
  readonly binary: QemuBinary;
  /** The fork's own folder, empty. */
  readonly directory: string;
}

/** Starts a fork; it is loaded and paused. */
export async function startFork(frozen: FrozenMachine, options: ForkStart): Promise<Machine> {
  const disks = await forkDisks(frozen.disks, options.directory);
  return startMachine({ ...frozen.spec, disks }, { ...options, incoming: frozen.state });
}

/** RAM and state go; the disks stay in `directory`, for later snapshots are overlays of them. */
export async function removeFrozen({ state, ramFile }: FrozenMachine): Promise<void> {
  await rm(state.path, { force: true });
  if (ramFile !== undefined) await removeRamFile(ramFile);
}
