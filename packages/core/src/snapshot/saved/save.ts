import { execFile } from 'node:child_process';
import { access, chmod, link, lstat, mkdir, mkdtemp, open, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { AbortedError, isQmpilotError, QmpilotError } from '../../errors.js';
import type { DiskSpec } from '../../qemu/command-line/arguments.js';
import type { AcceleratorChoice } from '../../qemu/host/accelerator.js';
import type { QemuBinary } from '../../qemu/host/binary.js';
import { cpuFlags } from '../../qemu/host/cpu-flags.js';
import { removeDirectory } from '../../util/remove-directory.js';
import type { SnapshotInfo, StoredScreen } from '../store.js';
import type { FrozenMachine } from '../strategies/frozen.js';
import { baseImage, flattenOverlay } from '../strategies/overlay.js';
import { identify, sha256, type FileIdentity } from './file-identity.js';
import { MANIFEST, type KeptManifest } from './manifest.js';

const run = promisify(execFile);

/** Files up to this size are known by their contents too: a few ms whenever the snapshot is opened. RAM is not among them. */
const MAX_HASHED = 8 * 2 ** 20;

export interface KeepRequest {
  readonly frozen: FrozenMachine;
  readonly info: SnapshotInfo;
  readonly guest: KeptManifest['guest'];
  readonly screen: StoredScreen | undefined;
  readonly accelerator: AcceleratorChoice;
  readonly binary: QemuBinary;
  readonly signal?: AbortSignal | undefined;
}

/** Identities of images, which many snapshots share and nobody changes. */
const identities = new Map<string, Promise<FileIdentity>>();

/**
 * Writes a snapshot to a folder that appears under its name when all of it is on disk, or not at all.
 * @throws {USAGE} when there is something at `path` already
 * @throws {NO_SPACE} {TOOL_MISSING} {ABORTED}
 */
export async function keepFrozen(path: string, request: KeepRequest): Promise<KeptManifest> {
  const { frozen, info, guest, screen, accelerator, binary, signal } = request;
  const target = resolve(path);
  if (await exists(target))
    throw new QmpilotError('USAGE', `${target} is there already`, { hint: 'name another path, or remove it first' });
  const parent = dirname(target);
  await removeUnfinished(parent);
  let partial: string | undefined;
  try {
    await mkdir(parent, { recursive: true, mode: 0o700 });
    // A name that nobody can have put there before: what is in it is a secret.
    partial = await mkdtemp(join(parent, `.${basename(target)}.partial-${process.pid}-`));
    await copyFile(frozen.state.path, join(partial, 'state'), signal);
    if (frozen.ramFile !== undefined) await copyFile(frozen.ramFile, join(partial, 'ram'), signal);
    const disks: DiskSpec[] = [];
    const bases = new Map<string, FileIdentity>();
    for (const { spec, pristine } of frozen.disks) {
      signal?.throwIfAborted();
      const image = pristine === undefined ? spec : await baseImage(spec.file);
      bases.set(image.file, await identityOf(image.file));
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
    const { kernel: own, ...spec } = frozen.spec;
    const kernel = frozen.spec.reboots ? own : undefined;
    for (const file of [kernel?.kernel, kernel?.initrd])
      if (file !== undefined) bases.set(file, await identityOf(file));
    const manifest: KeptManifest = {
      v: 1,
      ...info,
      qemu: binary.version.text,
      machineType: frozen.machineType,
      accelerator,
      ...(frozen.spec.cpu.startsWith('host') && { hostFlags: await cpuFlags() }),
      spec: {
        ...spec,
        ...(kernel && { kernel }),
        disks,
        ram: frozen.ramFile === undefined ? { kind: 'anonymous' } : { kind: 'file', path: 'ram', share: false },
      },
      mappedRam: frozen.state.mappedRam === true,
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
    await syncFolder(parent);
    return manifest;
  } catch (error) {
    if (partial !== undefined) await removeDirectory(partial);
    if (signal?.aborted && !isQmpilotError(error))
      throw new AbortedError(`the snapshot to be kept at ${target}`, signal.reason);
    throw asKeepError(target, error);
  }
}

/** Removes what writers of this user that were killed left in `parent`, which may be anybody's. */
export async function removeUnfinished(parent: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    const pid = /^\..+\.partial-(\d+)-\w+$/.exec(name)?.[1];
    if (pid === undefined || (await exists(`/proc/${pid}`))) continue;
    const path = join(parent, name);
    const info = await lstat(path).catch(() => undefined);
    if (info?.isDirectory() && info.uid === process.getuid?.()) await removeDirectory(path);
  }
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

/** A second name where that is possible, for nobody writes to either; else a copy that leaves holes what they are. */
async function copyFile(from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  try {
    await link(from, to);
  } catch {
    await run('cp', ['--sparse=auto', '--reflink=auto', '--', from, to], { signal });
  }
  await chmod(to, 0o600);
}

async function sync(folder: string): Promise<KeptManifest['files']> {
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

function asKeepError(target: string, error: unknown): unknown {
  if (error instanceof QmpilotError || !(error instanceof Error)) return error;
  const said = `${error.message} ${'stderr' in error ? String(error.stderr) : ''}`;
  if (/ENOSPC|EDQUOT|No space left|quota/i.test(said)) {
    return new QmpilotError('NO_SPACE', `no room to keep the snapshot at ${target}`, {
      cause: error,
      hint: 'free some room there, or name another path',
    });
  }
  return new QmpilotError('SNAPSHOT', `the snapshot could not be kept at ${target}: ${error.message}`, {
    cause: error,
  });
}

/** Bytes that a folder really takes on disk: holes cost nothing. */
export async function usedBytes(path: string): Promise<number> {
  const sizes = await Promise.all(
    (await readdir(path)).map(async (name) => (await stat(join(path, name))).blocks * 512),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
