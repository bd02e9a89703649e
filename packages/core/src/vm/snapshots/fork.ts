import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Console } from '../../console/console.js';
import { QmpilotError } from '../../errors.js';
import type { OccupiedConsoles } from '../../snapshot/store.js';
import { startFork } from '../../snapshot/strategies/fork-base.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { holdFamily, type ForkableFamily } from '../family.js';
import type { BeginOptions, ForkManyOptions, ForkOptions, RestoreOptions } from './options.js';

let forkCount = 0;

/** The part of a VM that forking needs. */
export interface ForkedVm {
  readonly console: Console;
  readonly reseeded: Promise<void>;
  readonly ended: Promise<QmpilotError>;
  /** Why there is no running QEMU; undefined while there is one. */
  readonly failure: QmpilotError | undefined;
  /** Forwards free ports of the host to ports of the guest. */
  forwardPorts(guestPorts: readonly number[]): Promise<void>;
  /** Uses no console on which a command ran when the snapshot was taken. */
  leaveAlone(consoles: OccupiedConsoles): void;
  /** Lets a fork that was loaded run. */
  begin(options: BeginOptions): Promise<void>;
  close(): Promise<void>;
}

export interface LoadedFork<V> {
  readonly vm: V;
  /** Resolves when its screen shows what the snapshot's did. */
  readonly drawn: Promise<void>;
}

/**
 * Makes a VM that starts where the snapshot was made, loaded and paused. It holds the family's snapshots and the host's
 * directories until it is closed.
 * @throws {SNAPSHOT} for an internal snapshot, or one that does not load
 * @throws {NO_SPACE} {TIMEOUT} {ABORTED}: nothing is left then
 */
export async function loadFork<V extends ForkedVm>(
  family: ForkableFamily<V>,
  name: string,
  options: WaitOptions,
): Promise<LoadedFork<V>> {
  const base = family.snapshots.forkBase(name);
  const { screen, forwardedPorts = [], occupied } = family.snapshots.get(name);
  // Before anything else: the VM may be closed at any time.
  const release = holdFamily(family);
  const directory = join(family.context.directories.disk, `fork-${(forkCount += 1)}`);
  try {
    // Each machine of a VM has a directory in that of the VM, which is removed when a restore replaces the machine.
    const own = join(directory, 'm0');
    await mkdir(own, { mode: 0o700, recursive: true });
    const machine = await startFork(base, {
      ...options,
      name: 'fork',
      binary: family.context.binary,
      directory: own,
    });
    const vm = family.makeVm(machine, directory);
    if (occupied) vm.leaveAlone(occupied);
    await vm.forwardPorts([...(family.guest.ports ?? []), ...forwardedPorts]);
    return { vm, drawn: screen ? vm.console.recall(screen) : Promise.resolve() };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    await release();
    throw error;
  }
}

/** Makes one fork, or with `count` an array of forks; all of them, or none when one fails. */
export function fork<V extends ForkedVm>(
  family: ForkableFamily<V>,
  name: string,
  options: ForkOptions | ForkManyOptions,
): Promise<V | V[]> {
  const { count, ...restore } = options;
  return count === undefined ? forkOne(family, name, restore) : forkMany(family, name, count, restore);
}

async function forkMany<V extends ForkedVm>(
  family: ForkableFamily<V>,
  name: string,
  count: number,
  options: RestoreOptions,
): Promise<V[]> {
  if (!Number.isInteger(count) || count < 0)
    throw new QmpilotError('USAGE', `count: ${count} is not a whole number of 0 or more`);
  const starts = await Promise.allSettled(Array.from({ length: count }, () => forkOne(family, name, options)));
  const vms = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  const failed = starts.find((start) => start.status === 'rejected');
  if (!failed) return vms;
  await Promise.all(vms.map((vm) => vm.close()));
  throw failed.reason;
}

async function forkOne<V extends ForkedVm>(
  family: ForkableFamily<V>,
  name: string,
  options: RestoreOptions,
): Promise<V> {
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
