import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { canMapReadOnly } from '../../qemu/command-line/arguments.js';
import type { MachineSpec } from '../../qemu/command-line/machine-spec.js';
import { atLeast } from '../../qemu/host/binary.js';
import { startIncoming, type Machine } from '../../qemu/process/machine.js';
import type { SavedState } from '../../qemu/saved-state/saved-state.js';
import { Cleanup } from '../../util/async/cleanup.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import { monotonicMs } from '../../util/time/clock.js';
import type { SnapshotContext } from '../context.js';
import { resolveMachineType, type ForkBase, type ForkStart } from './fork-base.js';
import { dropNames, forkDisks, createBaseDisks, type BaseDisk } from './overlay.js';
import { newRamFile, removeRamFile } from './ram-file.js';
import { prepareSave } from './save-state.js';

export interface ForkBaseOptions extends Omit<ForkStart, 'binary'> {
  readonly strategy: ForkBase['strategy'];
  /** Continue the guest afterwards. */
  readonly resume: boolean;
  /** Forks get the kernel that the guest boots from. */
  readonly reboots?: boolean | undefined;
}

export interface CreatedForkBase {
  readonly base: ForkBase;
  /** The machine in which the guest continues: the first fork. The caller ends the machine that was saved. */
  readonly successor: Machine;
  /** How long the guest was paused, in ms. */
  readonly pausedMs: number;
}

/**
 * Saves a machine as the base of forks. Its guest continues in the first fork, which is started before, so that the guest is paused
 * for as little time as possible. When a step fails, the machine is as it was, and runs if it ran.
 * @throws {SNAPSHOT} {NO_SPACE} {TIMEOUT} {ABORTED} {QMP_LINK}
 */
export async function createForkBase(
  machine: Machine,
  context: SnapshotContext,
  options: ForkBaseOptions,
): Promise<CreatedForkBase> {
  const undo = new Cleanup();
  try {
    const created = await createInto(machine, context, options, undo);
    undo.forget();
    return created;
  } catch (error) {
    // Report the first error, not those of the clean-up.
    await undo.close().catch(() => {});
    throw error;
  }
}

async function createInto(
  machine: Machine,
  context: SnapshotContext,
  options: ForkBaseOptions,
  undo: Cleanup,
): Promise<CreatedForkBase> {
  const { binary, directories } = context;
  const { strategy, resume } = options;
  const directory = await mkdtemp(join(directories.disk, 'snapshot-'));
  undo.add('the folder of the snapshot', () => removeDirectory(directory));
  const disks = await createBaseDisks(machine.spec.disks, directory);
  const template = strategy === 'template';
  const machineType = await resolveMachineType(machine);
  const copy =
    template && machine.spec.ram.share !== true
      ? await startCopy(machine, disks, directory, context, options, undo)
      : undefined;
  const source = copy?.machine ?? machine;
  const ramFile = template ? source.spec.ram.path : undefined;
  const state: SavedState = {
    path: join(directory, 'state'),
    ramInFile: template,
    mappedRam: !template && atLeast(binary.version, 9),
  };
  await writeFile(state.path, '', { mode: 0o600 });
  const spec: MachineSpec = {
    ...machine.spec,
    ...(options.reboots && { reboots: true }),
    ram: ramFile === undefined ? { kind: 'anonymous' } : { kind: 'file', path: ramFile, share: false },
  };
  const successor = await startIncoming(
    { ...spec, disks: await forkDisks(disks, options.directory) },
    { ...options, binary, incoming: state },
  );
  undo.add('the successor', () => successor.machine.process.kill());
  const prepare = async () => {
    const save = await prepareSave(source, { ...options, version: binary.version, state });
    undo.add('the socket', save.close);
    return save;
  };
  // Loading and saving share QEMU's migration settings: fill the copy first.
  const early = copy ? undefined : await prepare();

  if (resume) undo.add('the pause', () => machine.qmp.execute('cont'));
  await machine.qmp.execute('stop', undefined, options);
  const begun = monotonicMs();
  await copy?.fill();
  const save = early ?? (await prepare());
  await save.run(options);
  await successor.load(options);
  if (resume) await successor.machine.qmp.execute('cont', undefined, options);
  const pausedMs = monotonicMs() - begun;

  save.close();
  await dropNames(machine.spec.disks, disks);
  await copy?.close();
  const written = disks.flatMap(({ spec: { file }, pristine }) => (pristine === undefined ? [] : [file]));
  await Promise.all([state.path, ...written].map((path) => chmod(path, 0o400)));
  if (ramFile !== undefined && canMapReadOnly(binary.version)) await chmod(ramFile, 0o400);
  return {
    base: { strategy, directory, ramFile, state, spec, disks, machineType },
    successor: successor.machine,
    pausedMs,
  };
}

interface Copy {
  readonly machine: Machine;
  /** Loads the state of the machine, which is paused, into the copy. */
  readonly fill: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Starts a copy of a fork, whose RAM is private: the copy has its RAM in a shared file, and is saved in place of the fork. */
async function startCopy(
  machine: Machine,
  disks: readonly BaseDisk[],
  parent: string,
  context: SnapshotContext,
  options: ForkBaseOptions,
  undo: Cleanup,
): Promise<Copy> {
  const { binary } = context;
  const ramFile = await newRamFile(context, machine.spec.memoryMiB);
  undo.add('the RAM file', () => removeRamFile(ramFile));
  const directory = join(parent, 'copy');
  await mkdir(directory, { mode: 0o700 });
  const whole: SavedState = { path: join(directory, 'whole'), ramInFile: false, mappedRam: atLeast(binary.version, 9) };
  await writeFile(whole.path, '', { mode: 0o600 });
  const spec: MachineSpec = {
    ...machine.spec,
    ram: { kind: 'file', path: ramFile, share: true },
    disks: await forkDisks(disks, directory),
  };
  const incoming = await startIncoming(spec, { ...options, name: 'snapshot', binary, directory, incoming: whole });
  undo.add('the copy', () => incoming.machine.process.kill());
  const save = await prepareSave(machine, { ...options, version: binary.version, state: whole });
  undo.add("the copy's socket", save.close);
  return {
    machine: incoming.machine,
    async fill() {
      await save.run(options);
      await incoming.load(options);
    },
    async close() {
      save.close();
      await incoming.machine.process.kill();
      await removeDirectory(directory);
    },
  };
}
