import { execFile } from 'node:child_process';
import {
  access,
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  realpath,
  rename,
  stat,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { AbortedError, isQmpilotError, QmpilotError } from '../../errors.js';
import type { AcceleratorChoice } from '../../qemu/accelerator.js';
import type { DiskSpec } from '../../qemu/command-line/machine-spec.js';
import type { QemuBinary } from '../../qemu/host/binary.js';
import { cpuFlags } from '../../qemu/host/cpu-flags.js';
import { applyPages } from '../../qemu/saved-state/pages-file.js';
import type { SavedPages } from '../../qemu/saved-state/saved-state.js';
import { debugLog } from '../../util/debug-log.js';
import { hostError, isNoSpace } from '../../util/files/host-error.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import { isObject } from '../../util/validation/is-object.js';
import type { OccupiedConsoles, SnapshotInfo, StoredScreen } from '../store.js';
import type { ForkBase } from '../strategies/fork-base.js';
import { baseImages, flattenOverlay } from '../strategies/overlay.js';
import { identify, sha256, type FileIdentity } from './file-identity.js';
import { MANIFEST, type SavedManifest } from './manifest.js';

const log = debugLog('snapshot');

const run = promisify(execFile);

/** Files up to this size are hashed, which costs a few ms whenever the snapshot is opened; RAM is larger. */
const MAX_HASHED = 8 * 2 ** 20;

const RAM = 'ram';

export interface SaveRequest {
  readonly base: ForkBase;
  readonly info: SnapshotInfo;
  readonly guest: SavedManifest['guest'];
  readonly screen: StoredScreen | undefined;
  readonly accelerator: AcceleratorChoice;
  readonly binary: QemuBinary;
  readonly occupied?: OccupiedConsoles | undefined;
  /**
   * RAM files that were saved before, by the identity of the file that they are copies of. The snapshot then is the pages that differ, and a
   * hard link to one of these; RAM files that are new are added.
   */
  readonly sharedRam?: Map<string, string> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Identities of images, which many snapshots share and which do not change. */
const identities = new Map<string, Promise<FileIdentity>>();

/**
 * Writes a snapshot to a folder, which gets its name only after all of it is on disk.
 * @throws {ALREADY_EXISTS} when `path` exists
 * @throws {NO_SPACE} {IO} {TOOL_MISSING} {ABORTED}
 */
export async function saveToFolder(path: string, request: SaveRequest): Promise<SavedManifest> {
  const { base, info, guest, screen, accelerator, binary, occupied, sharedRam, signal } = request;
  const target = resolve(path);
  if (await exists(target))
    throw new QmpilotError('ALREADY_EXISTS', `${target} already exists`, {
      hint: 'choose another path, or remove it first',
    });
  const parent = dirname(target);
  await removeUnfinished(parent);
  let partial: string | undefined;
  try {
    await mkdir(parent, { recursive: true, mode: 0o700 });
    // An unpredictable name: the RAM of a guest holds secrets.
    partial = await mkdtemp(join(parent, `.${basename(target)}.partial-${process.pid}-`));
    const ownRam = await copyState(request, partial);
    const disks: DiskSpec[] = [];
    const bases = new Map<string, FileIdentity>();
    for (const { spec, pristine } of base.disks) {
      signal?.throwIfAborted();
      const [image, ...below] = pristine === undefined ? [spec] : await baseImages(spec.file, disksOf(guest));
      for (const { file } of [image, ...below]) bases.set(file, await identityOf(file));
      if (pristine === undefined) {
        disks.push(spec);
        continue;
      }
      const name = `${spec.id}.qcow2`;
      await flattenOverlay(spec.file, image, join(partial, name), signal);
      await chmod(join(partial, name), 0o600);
      disks.push({ ...spec, file: name });
    }
    signal?.throwIfAborted();
    const { kernel: own, ...spec } = base.spec;
    const kernel = base.spec.reboots ? own : undefined;
    for (const file of [kernel?.kernel, kernel?.initrd])
      if (file !== undefined) bases.set(file, await identityOf(file));
    const manifest: SavedManifest = {
      v: 1,
      ...info,
      qemu: binary.version.text,
      machineType: base.machineType,
      accelerator,
      ...(base.spec.cpu.startsWith('host') && { hostFlags: await cpuFlags() }),
      spec: {
        ...spec,
        ...(kernel && { kernel }),
        disks,
        ram: base.ramFile === undefined ? { kind: 'anonymous' } : { kind: 'file', path: RAM, share: false },
      },
      mappedRam: base.state.mappedRam === true,
      ...(sharedRam && base.state.pages && { pages: withoutPath(base.state.pages) }),
      ...(occupied && { occupied }),
      guest,
      ...(screen && {
        screen: { base64: Buffer.from(screen.bytes).toString('base64'), columns: screen.columns, rows: screen.rows },
      }),
      files: await sync(partial),
      bases: [...bases.values()],
    };
    await writeFile(join(partial, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600, flush: true });
    await syncFolder(partial);
    await rename(partial, target);
    if (ownRam !== undefined) sharedRam?.set(ownRam, join(target, RAM));
    await syncFolder(parent);
    log?.(() => `saved ${info.name} to ${target}`);
    return manifest;
  } catch (error) {
    if (partial !== undefined) await removeDirectory(partial);
    if (signal?.aborted && !isQmpilotError(error))
      throw new AbortedError(`the snapshot to be saved at ${target}`, signal.reason);
    throw asSaveError(target, error);
  }
}

/** Removes the unfinished folders of this user's killed writers from `parent`, which other users may write to, too. */
export async function removeUnfinished(parent: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    const pid = /^\..+\.partial-(\d+)-\w+$/.exec(name)?.[1];
    if (pid === undefined || (await exists(`/proc/${pid}`))) continue;
    const path = join(parent, name);
    const info = await lstat(path).catch(() => undefined);
    if (info?.isDirectory() && info.uid === process.getuid?.()) await removeDirectory(path);
  }
}

/** The images that the guest was described with: the overlays on them are part of the snapshot, they are not. */
function disksOf({ disks }: SaveRequest['guest']): string[] {
  return (Array.isArray(disks) ? disks : []).flatMap((disk: unknown) =>
    isObject(disk) && typeof disk['file'] === 'string' ? [disk['file']] : [],
  );
}

function identityOf(image: string): Promise<FileIdentity> {
  let known = identities.get(image);
  if (!known) {
    known = identify(image);
    identities.set(image, known);
    known.catch(() => identities.delete(image));
  }
  return known;
}

/** Makes a hard link where that is possible, as no process writes to the file any more; else a sparse copy. */
async function copyFile(from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  try {
    await link(from, to);
  } catch {
    await run('cp', ['--sparse=auto', '--reflink=auto', '--', from, to], { signal });
  }
  await chmod(to, 0o600);
}

/**
 * Copies state and RAM. Saved pages go to the RAM, which is a file of its own then; with `sharedRam` they stay a file.
 * @returns the identity of the RAM file, if other snapshots may link to this one's copy
 */
async function copyState(
  { base: { state, ramFile, spec }, sharedRam, signal }: SaveRequest,
  folder: string,
): Promise<string | undefined> {
  const ram = join(folder, RAM);
  const { pages } = state;
  await copyFile(state.path, join(folder, 'state'), signal);
  if (ramFile === undefined) return undefined;
  if (!pages) {
    await copyFile(ramFile, ram, signal);
    return undefined;
  }
  if (sharedRam) {
    const { dev, ino } = await stat(ramFile);
    const identity = `${dev}:${ino}`;
    const copy = sharedRam.get(identity);
    await copyFile(pages.path, join(folder, 'pages'), signal);
    // A hard link to a symbolic link would end with what that names.
    await copyFile(copy ?? (await realpath(ramFile)), ram, signal);
    return copy === undefined ? identity : undefined;
  }
  await run('cp', ['--sparse=auto', '--reflink=auto', '--', ramFile, ram], { signal });
  await chmod(ram, 0o600);
  const file = await open(ram, 'r+');
  try {
    await applyPages(pages, { file, address: 0, ramBytes: spec.memoryMiB * 2 ** 20 }, signal);
  } finally {
    await file.close();
  }
  return undefined;
}

function withoutPath({ count, runs }: SavedPages): Omit<SavedPages, 'path'> {
  return { count, runs };
}

async function sync(folder: string): Promise<SavedManifest['files']> {
  return Promise.all(
    (await readdir(folder)).map(async (name) => {
      const file = await open(join(folder, name), 'r');
      try {
        await file.sync();
        const { size } = await file.stat();
        return { name, bytes: size, ...(size <= MAX_HASHED && { sha256: await sha256(join(folder, name)) }) };
      } finally {
        await file.close();
      }
    }),
  );
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function asSaveError(target: string, error: unknown): unknown {
  if (error instanceof QmpilotError || !(error instanceof Error)) return error;
  const message = `cannot save the snapshot to ${target}`;
  // `cp` and `qemu-img` report a full disk in their own words.
  const said = 'stderr' in error ? String(error.stderr) : '';
  if (isNoSpace(error) || /No space left|Disk quota exceeded/.test(said))
    return new QmpilotError('NO_SPACE', `${message}: no space left on device`, {
      cause: error,
      hint: 'make room there, or choose another path',
    });
  return hostError(message, error);
}

/** Returns the bytes that a folder uses on disk; holes in files do not count. */
export async function usedBytes(path: string): Promise<number> {
  const sizes = await Promise.all(
    (await readdir(path)).map(async (name) => (await stat(join(path, name))).blocks * 512),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
