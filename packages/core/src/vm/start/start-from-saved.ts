import { execFile } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { PreparedGuest } from '../../guests/guest.js';
import type { MachineSpec, RamSpec } from '../../qemu/command-line/machine-spec.js';
import { findQemu } from '../../qemu/host/binary.js';
import { acquireHostDirectories, makeVmDirectory, releaseHostDirectories } from '../../qemu/host/directories.js';
import { startMachine } from '../../qemu/process/machine.js';
import type { SnapshotContext } from '../../snapshot/context.js';
import { openSaved, type OpenedSnapshot } from '../../snapshot/saved/open.js';
import type { ForkBase } from '../../snapshot/strategies/fork-base.js';
import { forkDisks } from '../../snapshot/strategies/overlay.js';
import { planRam, removeRamFile } from '../../snapshot/strategies/ram-file.js';
import { Cleanup } from '../../util/async/cleanup.js';
import { createFamily } from '../create-family.js';
import type { Vm } from '../vm.js';
import type { BootOptions } from './boot-options.js';
import { BOOT_TIMEOUT } from './ready/await-ready.js';

const run = promisify(execFile);

export interface StartedFromSaved {
  readonly vm: Vm;
  /** Wall clock, ISO 8601. */
  readonly savedAt: string;
}

/**
 * Starts a VM from a saved snapshot of its guest, and waits until its shells answer and its clock and random numbers are its own.
 * Unlike a fork it has its RAM in a file of its own, as a VM that booted has: its snapshots cost no more.
 * @throws {SNAPSHOT} when it cannot be used
 * @throws {QEMU_START} {QEMU_EXITED} {SHELL_LOST} {NO_SPACE} {TIMEOUT} {ABORTED}
 */
export async function startFromSaved(
  path: string,
  guest: PreparedGuest,
  options: BootOptions,
): Promise<StartedFromSaved> {
  const binary = await findQemu(options.qemu);
  const context = { binary, directories: await acquireHostDirectories() };
  const undo = new Cleanup();
  undo.add('the folders of the host', releaseHostDirectories);
  try {
    const opened = await openSaved(path, context);
    const vm = await load(opened, guest, { options, context, undo });
    undo.forget();
    return { vm, savedAt: opened.manifest.savedAt };
  } catch (error) {
    await undo.close().catch(() => {});
    throw error;
  }
}

interface Loading {
  readonly options: BootOptions;
  readonly context: SnapshotContext;
  readonly undo: Cleanup;
}

async function load({ manifest, base }: OpenedSnapshot, guest: PreparedGuest, loading: Loading): Promise<Vm> {
  const { options, context, undo } = loading;
  const { signal } = options;
  const family = createFamily({ guest, context, accelerator: manifest.accelerator });
  const { snapshots } = family;
  // The disks go on reading from this folder.
  snapshots.removeWithFamily(base.directory);
  const heldRam = base.ramFile;
  if (heldRam !== undefined) undo.add('the saved RAM', () => removeRamFile(heldRam));
  undo.add('the files of the snapshot', () => snapshots.release());
  const directory = await makeVmDirectory(context.directories);
  undo.add("the VM's folder", () => rm(directory, { recursive: true, force: true }));
  const first = join(directory, 'm0');
  await mkdir(first, { mode: 0o700 });
  const ram = await ramOf(base, loading);
  if (heldRam !== undefined) {
    if (ram.path === heldRam) snapshots.removeWithFamily(dirname(heldRam));
    else await removeRamFile(heldRam);
  }
  const spec: MachineSpec = { ...base.spec, ram, disks: await forkDisks(base.disks, first) };
  const machine = await startMachine(
    { ...spec, ...(guest.kernel && { kernel: guest.kernel, reboots: true }) },
    { signal, name: guest.name, binary: context.binary, directory: first, incoming: base.state },
  );
  // Its snapshots hold the kernel only where the caller asks for it, as those of a booted VM.
  const vm = family.makeVm({ ...machine, spec: { ...machine.spec, reboots: false } }, directory);
  // It holds all of the above from now on.
  undo.forget();
  undo.add('the VM', () => vm.close());
  await vm.forwardPorts(guest.ports ?? []);
  const { screen } = manifest;
  const drawn = screen && vm.console.recall({ ...screen, bytes: Buffer.from(screen.base64, 'base64') });
  options.onStart?.(vm);
  await vm.begin({ signal });
  await drawn;
  const wait = { signal, timeout: options.timeout ?? BOOT_TIMEOUT };
  await Promise.all([
    guest.shell === undefined ? undefined : vm.shell.ready(wait),
    guest.samplingShell === undefined ? undefined : vm.samplingShell.ready(wait),
  ]);
  await vm.reseeded;
  return vm;
}

/** A copy of the saved RAM, where there is room for one; else the saved file itself, mapped private, as forks do. */
async function ramOf(base: ForkBase, { options, context, undo }: Loading): Promise<RamSpec> {
  if (base.ramFile === undefined) return base.spec.ram;
  const ram = await planRam(context, base.spec.memoryMiB, options.onProgress ?? (() => {}));
  const { path } = ram;
  if (path === undefined) return base.spec.ram;
  undo.add('the RAM', () => removeRamFile(path));
  try {
    await run('cp', ['--sparse=auto', '--reflink=auto', '--', base.ramFile, path], { signal: options.signal });
    return ram;
  } catch (error) {
    await removeRamFile(path);
    if (options.signal?.aborted) throw error;
    options.onProgress?.('no room for a copy of the saved RAM: snapshots of this VM take longer');
    return base.spec.ram;
  }
}
