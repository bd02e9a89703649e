import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { QmpilotError } from '../../errors.js';
import { startFork } from '../../snapshot/strategies/frozen.js';
import type { WaitOptions } from '../../util/deadline.js';
import { holdFamily, type VmFamily } from '../family.js';
import type { Vm } from '../vm.js';
import type { ForkOptions } from './vm-snapshots.js';

let forkCount = 0;

export interface LoadedFork {
  readonly vm: Vm;
  /** Resolves when its screen shows what the snapshot's did. */
  readonly drawn: Promise<void>;
}

/**
 * A vm that starts where the snapshot was made, loaded and paused. It holds the family's snapshots and the host's folders
 * until it is closed.
 * @throws {SNAPSHOT} for an internal snapshot, or one that does not load
 * @throws {NO_SPACE} {TIMEOUT} {ABORTED}: nothing is left then
 */
export async function loadFork(family: VmFamily, name: string, options: WaitOptions): Promise<LoadedFork> {
  const frozen = family.snapshots.frozen(name);
  const { screen } = family.snapshots.get(name);
  // At once: the vm may be closed in the next moment.
  const release = holdFamily(family);
  const directory = join(family.context.directories.disk, `fork-${(forkCount += 1)}`);
  try {
    // A folder of its own in that of the vm: it goes when a restore puts another machine there.
    const own = join(directory, 'm0');
    await mkdir(own, { mode: 0o700, recursive: true });
    const machine = await startFork(frozen, {
      ...options,
      name: 'fork',
      binary: family.context.binary,
      directory: own,
    });
    const vm = family.makeVm(machine, directory);
    return { vm, drawn: screen ? vm.console.recall(screen) : Promise.resolve() };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    await release();
    throw error;
  }
}

/** The body of `vm.fork`: all of them, or none. */
export async function forkAll(family: VmFamily, name: string, options: ForkOptions): Promise<Vm[]> {
  const count = options.count ?? 1;
  if (!Number.isInteger(count) || count < 0) throw new QmpilotError('USAGE', `count: ${count} is no number of forks`);
  const starts = await Promise.allSettled(Array.from({ length: count }, () => forkOne(family, name, options)));
  const vms = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  const failed = starts.find((start) => start.status === 'rejected');
  if (!failed) return vms;
  await Promise.all(vms.map((vm) => vm.close()));
  throw failed.reason;
}

async function forkOne(family: VmFamily, name: string, options: ForkOptions): Promise<Vm> {
  const { vm, drawn } = await loadFork(family, name, options);
  try {
    await vm.begin(options);
    await drawn;
    return vm;
  } catch (error) {
    await vm.close();
    throw error;
  }
}
