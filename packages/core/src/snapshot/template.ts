import { chmod, mkdtemp, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { QmpilotError } from '../errors.js';
import type { QemuBinary } from '../qemu/binary.js';
import { canMapReadOnly, type MachineSpec } from '../qemu/command-line.js';
import { chooseRamDirectory, type HostDirectories } from '../qemu/host-directory.js';
import { startMachine, type Machine } from '../qemu/machine.js';
import { monotonicMs } from '../util/clock.js';
import type { WaitOptions } from '../util/deadline.js';
import { forkDisks, freezeDisks, type FrozenDisk } from './overlay.js';
import { saveState } from './save-state.js';

/** Where and with what a vm's files are made. */
export interface SnapshotContext {
  readonly binary: QemuBinary;
  readonly directories: HostDirectories;
}

/**
 * A frozen machine: RAM in a file that nobody writes to any more, device state in another, disks as they stood.
 * A fork maps the RAM file private, so that its cost is what it changes, whatever the size.
 */
export interface Template {
  readonly directory: string;
  readonly ramFile: string;
  readonly stateFile: string;
  readonly stateBytes: number;
  readonly spec: MachineSpec;
  readonly disks: readonly FrozenDisk[];
  /** How long the guest stood still for it, in ms. */
  readonly pausedMs: number;
}

/** A file for RAM that only its machine, and later its template, uses. */
export async function newRamFile(context: SnapshotContext, memoryMiB: number): Promise<string> {
  const parent = await chooseRamDirectory(context.directories, memoryMiB * 2 ** 20);
  return join(await mkdtemp(join(parent, 'ram-')), 'ram');
}

export async function removeRamFile(path: string): Promise<void> {
  await rm(join(path, '..'), { recursive: true, force: true });
}

/**
 * Makes a template of a machine, and ends the machine: its files are the template's from then on. When that fails
 * the machine is still there, paused.
 * @throws {SNAPSHOT} {NO_SPACE} {TIMEOUT} {ABORTED} {QMP_LINK}
 */
export async function saveTemplate(machine: Machine, context: SnapshotContext, options: WaitOptions): Promise<Template> {
  const begun = monotonicMs();
  await machine.qmp.execute('stop', undefined, options);
  const directory = await mkdtemp(join(context.directories.disk, 'snapshot-'));
  let copy: Machine | undefined;
  try {
    if (machine.spec.ram.share !== true) copy = await withSharedRam(machine, directory, context, options);
    const sharing = copy ?? machine;
    const ramFile = sharing.spec.ram.path;
    if (ramFile === undefined) throw new QmpilotError('SNAPSHOT', 'this machine has no RAM file');
    const stateFile = join(directory, 'state');
    await saveState(sharing, { ...options, version: context.binary.version, path: stateFile, ramInFile: true });
    await Promise.all([sharing.process.kill(), machine.process.kill()]);
    await Promise.all([chmod(ramFile, canMapReadOnly(context.binary.version) ? 0o400 : 0o600), chmod(stateFile, 0o400)]);
    return {
      directory,
      ramFile,
      stateFile,
      stateBytes: (await stat(stateFile)).size,
      spec: { ...sharing.spec, ram: { kind: 'file', path: ramFile, share: false } },
      disks: await freezeDisks(sharing.spec.disks, directory),
      pausedMs: monotonicMs() - begun,
    };
  } catch (error) {
    await copy?.process.kill();
    if (copy?.spec.ram.path !== undefined) await removeRamFile(copy.spec.ram.path);
    if (!machine.process.exit) await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

/** A fork's RAM is private to it: it is saved whole, and loaded by a machine whose RAM is a shared file again. */
async function withSharedRam(machine: Machine, directory: string, context: SnapshotContext, options: WaitOptions): Promise<Machine> {
  const whole = join(directory, 'whole');
  const ramFile = await newRamFile(context, machine.spec.memoryMiB);
  try {
    await saveState(machine, { ...options, version: context.binary.version, path: whole, ramInFile: false });
    const spec: MachineSpec = { ...machine.spec, ram: { kind: 'file', path: ramFile, share: true } };
    return await startMachine(spec, {
      ...options,
      name: 'snapshot',
      binary: context.binary,
      directory: machine.directory,
      incoming: { path: whole, ramInFile: false },
    });
  } catch (error) {
    await removeRamFile(ramFile);
    throw error;
  } finally {
    await rm(whole, { force: true });
  }
}

/** Starts a fork in a folder of its own; it is loaded and paused. */
export async function startFork(
  template: Template, options: WaitOptions & { readonly name: string; readonly binary: QemuBinary; readonly directory: string },
): Promise<Machine> {
  const disks = await forkDisks(template.disks, options.directory);
  return startMachine({ ...template.spec, disks }, { ...options, incoming: { path: template.stateFile, ramInFile: true } });
}

/** RAM and state go; the disks stay in `directory`, for later snapshots are overlays of them. */
export async function removeTemplate(template: Template): Promise<void> {
  await Promise.all([rm(template.stateFile, { force: true }), removeRamFile(template.ramFile)]);
}
