import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { MachineSpec } from '../../qemu/command-line/machine-spec.js';
import type { QemuBinary } from '../../qemu/host/binary.js';
import { startMachine, type Machine } from '../../qemu/process/machine.js';
import type { SavedState } from '../../qemu/saved-state/saved-state.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { forkDisks, type BaseDisk } from './overlay.js';
import { removeRamFile } from './ram-file.js';

/**
 * The files that forks start from: a machine at one moment. They do not change. `template`: RAM is a file that forks map privately, so
 * that a fork costs only what it changes. `file`: RAM is in the state, and each fork reads all of it.
 */
export interface ForkBase {
  readonly strategy: 'template' | 'file';
  readonly directory: string;
  /** For a template only. */
  readonly ramFile: string | undefined;
  readonly state: SavedState;
  /** The machine type behind an alias such as `q35`. */
  readonly machineType: string;
  /** What a fork is started from; its disks are overlays of `disks`. */
  readonly spec: MachineSpec;
  readonly disks: readonly BaseDisk[];
}

export interface ForkStart extends WaitOptions {
  readonly name: string;
  readonly binary: QemuBinary;
  /** The fork's own folder, empty. */
  readonly directory: string;
}

/** Starts a fork; it is loaded and paused. */
export async function startFork(base: ForkBase, options: ForkStart): Promise<Machine> {
  const disks = await forkDisks(base.disks, options.directory);
  return startMachine({ ...base.spec, disks }, { ...options, incoming: base.state });
}

/** Removes RAM and state; the disks stay in `directory`, as later snapshots are overlays of them. */
export async function removeForkBase({ state, ramFile }: ForkBase): Promise<void> {
  for (const path of [state.path, state.pages?.path]) if (path !== undefined) await rm(path, { force: true });
  if (ramFile !== undefined) await removeRamFile(ramFile);
}

/** Returns the machine type behind an alias: `pc-q35-7.2` for `q35`. Another QEMU must support it. */
export async function resolveMachineType({ qmp, spec }: Machine): Promise<string> {
  const type: unknown = await qmp.execute('qom-get', { path: '/machine', property: 'type' });
  return typeof type === 'string' ? type.replace(/-machine$/, '') : spec.machine;
}

/** Returns the bytes on disk or in memory of what a snapshot does not share with the one that it was forked from. */
export async function bytesOf({ state, ramFile, directory }: ForkBase): Promise<number> {
  const files = [state.path, state.pages?.path ?? ramFile].filter((path) => path !== undefined);
  const disks = (await readdir(directory)).map((name) => join(directory, name));
  const sizes = await Promise.all(
    [...new Set([...files, ...disks])].map(async (path) => (await stat(path)).blocks * 512),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
