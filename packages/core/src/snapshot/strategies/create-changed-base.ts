import { chmod, link, mkdtemp, open, readFile, rm, statfs, writeFile, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isQmpilotError, QmpCommandError, QmpilotError } from '../../errors.js';
import { requireRoom } from '../../qemu/host/directories.js';
import { guestChannels } from '../../qemu/process/channels.js';
import type { Machine } from '../../qemu/process/machine.js';
import { deviceSections, headOf, sameDevices, writableBlocks } from '../../qemu/saved-state/migration-stream.js';
import { countPages, findChangedPages, PAGE } from '../../qemu/saved-state/pagemap.js';
import { reserve, writePages } from '../../qemu/saved-state/pages-file.js';
import type { SavedPages, SavedState } from '../../qemu/saved-state/saved-state.js';
import { Cleanup } from '../../util/async/cleanup.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { abortError } from '../../util/async/limit.js';
import { errnoOf, hostError, isNoSpace } from '../../util/files/host-error.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import { monotonicMs } from '../../util/time/clock.js';
import type { SnapshotContext } from '../context.js';
import { resolveMachineType, type ForkBase } from './fork-base.js';
import { addOverlays, switchDisks } from './live-overlay.js';
import { createBaseDisks } from './overlay.js';

export interface ChangedBaseOptions extends WaitOptions {
  /** Continue the guest afterwards. */
  readonly resume: boolean;
  /** Forks get the kernel that the guest boots from. */
  readonly reboots?: boolean | undefined;
  /** Called with the folder of the snapshot's disks once the machine needs them as well, also when a later step fails. */
  readonly onDisksShared: (directory: string) => void;
}

export interface CreatedChangedBase {
  readonly base: ForkBase;
  /** How long the guest was paused, in ms. */
  readonly pausedMs: number;
}

/** A machine whose changed pages cannot be saved alone; the message says why. The machine is as it was. */
export class AllRamNeeded extends Error {}

/** How often the devices may change while the pages of a paused guest are copied. */
const ATTEMPTS = 3;
/** QEMU does not say why it could not write the file of the devices: less room than this is the reason. */
const LITTLE_ROOM = 2 ** 20;

/**
 * Saves a fork as the base of forks, with those pages of RAM alone that differ from the RAM file which it maps. Its guest continues
 * in the same QEMU, with new overlays. When a step fails, the machine is as it was, and runs if it ran.
 * @throws AllRamNeeded when all of the RAM has to be saved
 * @throws {SNAPSHOT} {NO_SPACE} {IO} {TIMEOUT} {ABORTED} {QMP_LINK}
 */
export async function createChangedBase(
  machine: Machine,
  context: SnapshotContext,
  options: ChangedBaseOptions,
): Promise<CreatedChangedBase> {
  const undo = new Cleanup();
  try {
    return await createInto(machine, context, options, undo);
  } catch (error) {
    // Report the first error, not those of the clean-up.
    await undo.close().catch(() => {});
    throw await explain(machine, error, options);
  }
}

async function createInto(
  machine: Machine,
  { directories }: SnapshotContext,
  options: ChangedBaseOptions,
  undo: Cleanup,
): Promise<CreatedChangedBase> {
  const { qmp } = machine;
  const { resume } = options;
  const source = await inspect(machine, options);
  const folder = await mkdtemp(join(dirname(dirname(source.ramFile)), 'ram-'));
  undo.add('the folder of the RAM', () => removeDirectory(folder));
  const ramFile = join(folder, 'ram');
  // The RAM file stays when the snapshot is removed that it was made for.
  await link(source.ramFile, ramFile);
  const directory = await mkdtemp(join(directories.disk, 'snapshot-'));
  undo.add('the folder of the snapshot', () => removeDirectory(directory));
  const disks = await createBaseDisks(machine.spec.disks, directory);
  const machineType = await resolveMachineType(machine);
  const overlays = await addOverlays(machine, disks, options, undo);
  const path = join(folder, 'state');
  const pagesPath = join(folder, 'pages');
  const file = await open(pagesPath, 'wx', 0o600);
  undo.add('the file of the pages', () => file.close());
  // Before the pause: allocating the memory of the file takes longer than writing to it.
  await reserve(file, source.pages * PAGE, options.signal);
  for (const stream of guestChannels(machine)) {
    // QEMU puts input into the RAM of a guest that is paused, too.
    stream.cork();
    undo.add('the held input', () => stream.uncork());
  }

  if (resume) undo.add('the pause', () => qmp.execute('cont'));
  await qmp.execute('stop', undefined, options);
  const begun = monotonicMs();
  const written = await writeState(machine, { ...source, folder, path, file }, options);
  await switchDisks(machine, overlays, options);
  // The machine writes to its new overlays: these are over files of the snapshot, which stay from now on.
  undo.forget();
  undo.add('the folder of the RAM', () => removeDirectory(folder));
  options.onDisksShared(directory);
  try {
    if (resume) await qmp.execute('cont');
  } finally {
    for (const stream of guestChannels(machine)) stream.uncork();
    await file.close();
  }
  const pausedMs = monotonicMs() - begun;

  const files = disks.flatMap(({ spec, pristine }) => (pristine === undefined ? [] : [spec.file]));
  await Promise.all([path, pagesPath, ...files].map((each) => chmod(each, 0o400)));
  const state: SavedState = { path, ramInFile: true, pages: { path: pagesPath, ...written } };
  const spec = {
    ...machine.spec,
    ...(options.reboots && { reboots: true }),
    ram: { kind: 'file', path: ramFile, share: false } as const,
  };
  return { base: { strategy: 'template', directory, ramFile, state, spec, disks, machineType }, pausedMs };
}

interface Source {
  readonly ramFile: string;
  /** The state that the machine was loaded from: a new one begins like it. */
  readonly origin: Buffer;
  /** How many pages it has changed so far. */
  readonly pages: number;
}

/** Finds what is needed of a machine, while its guest runs. */
async function inspect(machine: Machine, options: WaitOptions): Promise<Source> {
  const { origin, spec } = machine;
  const { path: ramFile, share } = spec.ram;
  if (!origin?.ramInFile || ramFile === undefined || share !== false)
    throw new AllRamNeeded('its RAM is not a private mapping of a file');
  if (spec.readBack) throw new AllRamNeeded('its QEMU was started by another program');
  const unfit = spec.disks.find(({ readOnly, foreign, format }) => !readOnly && (foreign || format !== 'qcow2'));
  if (unfit) throw new AllRamNeeded(`its disk ${unfit.id} is no overlay`);
  const [block] = writableBlocks(await machine.qmp.hmp('info ramblock', options));
  if (block !== undefined) throw new AllRamNeeded(`it has memory beside its RAM: ${block}`);
  const { pid } = machine.process;
  try {
    const state = await readFile(origin.path);
    // Its forks are written to.
    await (await open(`/proc/${pid}/mem`, 'r+')).close();
    const runs = await findChangedPages(pid, ramFile, spec.memoryMiB * 2 ** 20);
    if (!runs) throw new AllRamNeeded('its RAM is not mapped as one file');
    const pages = countPages(runs);
    await requireRoom(dirname(dirname(ramFile)), pages * PAGE);
    return { ramFile, origin: state, pages };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw new AllRamNeeded('the snapshot that it was forked from was removed');
    if (errnoOf(error) === 'EACCES' || errnoOf(error) === 'EPERM')
      throw new AllRamNeeded("this system does not permit access to the memory of QEMU's process");
    if (isQmpilotError(error, 'NO_SPACE')) throw new AllRamNeeded(error.message, { cause: error });
    throw error;
  }
}

interface Target extends Source {
  readonly folder: string;
  /** Where the state goes. */
  readonly path: string;
  /** The file of the pages. */
  readonly file: FileHandle;
}

/** Writes the state of the paused machine, and the pages that it has changed. */
async function writeState(
  machine: Machine,
  { folder, path, file, ramFile, origin }: Target,
  options: WaitOptions,
): Promise<Omit<SavedPages, 'path'>> {
  const { process, spec } = machine;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const devices = await saveDevices(machine, folder, options);
    const head = headOf(origin, devices);
    if (!head) throw new AllRamNeeded('the state that it was forked from has an unknown format');
    const runs = await findChangedPages(process.pid, ramFile, spec.memoryMiB * 2 ** 20);
    if (!runs) throw new AllRamNeeded('its RAM is not mapped as one file');
    await writePages(process.pid, runs, { file, signal: options.signal });
    // Input that QEMU had already read may reach the guest's memory a moment later.
    if (!sameDevices(devices, await saveDevices(machine, folder, options))) continue;
    await writeFile(path, Buffer.concat([head, deviceSections(devices)]), { mode: 0o600, flag: 'wx' });
    return { count: countPages(runs), runs: runs.length };
  }
  throw new AllRamNeeded('its devices change while it is paused');
}

/** Saves all of a machine but its memory: 0.2 MB. */
async function saveDevices({ qmp }: Machine, folder: string, options: WaitOptions): Promise<Buffer> {
  const filename = join(folder, 'devices');
  try {
    await qmp.execute('xen-save-devices-state', { filename, live: false }, options);
  } catch (error) {
    if (!(error instanceof QmpCommandError)) throw error;
    if (error.qmpClass === 'CommandNotFound') throw new AllRamNeeded('this QEMU cannot save devices alone');
    const { bavail, bsize } = await statfs(folder);
    if (bavail * bsize < LITTLE_ROOM) throw noRoom(error);
    throw new QmpilotError('SNAPSHOT', `QEMU could not save its devices: ${error.desc}`, {
      cause: error,
      hint: 'the VM continues; is there room for the state?',
    });
  }
  const devices = await readFile(filename);
  await rm(filename);
  return devices;
}

/** The error of a save, by what has become of the machine. */
async function explain({ process }: Machine, error: unknown, { signal }: WaitOptions): Promise<unknown> {
  if (error instanceof AllRamNeeded) return error;
  if (signal?.aborted && !isQmpilotError(error)) return abortError('the snapshot', signal);
  if (isNoSpace(error)) return noRoom(error);
  if (isQmpilotError(error)) return error;
  // The files of a process that was killed end early.
  const exit = await process.waitForExit({ patience: 1000 }).catch(() => undefined);
  if (exit) return new QmpilotError('QMP_LINK', 'QEMU ended while it was saved', { cause: error });
  return hostError('cannot save the changed memory of the VM', error);
}

function noRoom(cause: unknown): QmpilotError {
  return new QmpilotError('NO_SPACE', 'not enough space for the changed memory of the VM', {
    cause,
    hint: 'make room, or set QMPILOT_RAM_DIR to a folder on a larger disk',
  });
}
