import { link, mkdtemp, stat, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { QmpilotError } from '../../errors.js';
import { whyKvmCannotOpen } from '../../qemu/accelerator.js';
import { cpuFlags } from '../../qemu/host/cpu-flags.js';
import { Cleanup } from '../../util/async/cleanup.js';
import { debugLog } from '../../util/debug-log.js';
import { isTrusted } from '../../util/files/private-directory.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import type { SnapshotContext } from '../context.js';
import type { ForkBase } from '../strategies/fork-base.js';
import { createOverlay, type BaseDisk } from '../strategies/overlay.js';
import { differs, sha256 } from './file-identity.js';
import { readManifest, type SavedFile, type SavedManifest } from './manifest.js';

const log = debugLog('snapshot');

export interface OpenedSnapshot {
  readonly manifest: SavedManifest;
  readonly base: ForkBase;
}

/**
 * Checks a saved snapshot and links its files into a private folder, so that its own folder may be removed where both are on one
 * file system.
 * @throws {NOT_FOUND} when there is none at `path`
 * @throws {SNAPSHOT} when it is incomplete, an image has changed, or it does not fit this QEMU or host
 */
export async function openSaved(path: string, context: SnapshotContext): Promise<OpenedSnapshot> {
  const folder = resolve(path);
  const manifest = await readManifest(folder);
  if (!(await isTrusted(folder))) {
    throw new QmpilotError(
      'SNAPSHOT',
      `the snapshot at ${folder} belongs to another user, or other users may change it; it names files that QEMU would read`,
      {
        hint: 'if you trust it, copy it into a folder of your own with mode 0700',
      },
    );
  }
  const unfit = await explainMismatch(folder, manifest, context);
  if (unfit) throw unfit;
  log?.(() => `opening ${folder}`);
  const undo = new Cleanup();
  try {
    return { manifest, base: await hold(folder, manifest, context, undo) };
  } catch (error) {
    await undo.close().catch(() => {});
    throw error;
  }
}

/** Links or names its files in folders of this process. */
async function hold(
  folder: string,
  manifest: SavedManifest,
  context: SnapshotContext,
  undo: Cleanup,
): Promise<ForkBase> {
  const directory = await mkdtemp(join(context.directories.disk, 'snapshot-'));
  undo.add('the folder', () => removeDirectory(directory));
  const held = async (name: string) => {
    await link(join(folder, name), join(directory, name)).catch(() =>
      symlink(join(folder, name), join(directory, name)),
    );
    return join(directory, name);
  };
  const state = {
    path: await held('state'),
    ramInFile: manifest.spec.ram.kind === 'file',
    mappedRam: manifest.mappedRam,
    ...(manifest.pages && { pages: { ...manifest.pages, path: await held('pages') } }),
  };
  let ramFile: string | undefined;
  if (manifest.spec.ram.kind === 'file') {
    // A folder of its own, as that of every RAM file.
    const ramFolder = await mkdtemp(join(context.directories.disk, 'ram-'));
    undo.add('the RAM', () => removeDirectory(ramFolder));
    ramFile = join(ramFolder, 'ram');
    await link(join(folder, 'ram'), ramFile).catch(() => symlink(join(folder, 'ram'), ramFile ?? ''));
  }
  const disks = await Promise.all(
    manifest.spec.disks.map(async (spec): Promise<BaseDisk> => {
      if (spec.readOnly) return { spec, pristine: undefined };
      const base = { ...spec, file: await held(spec.file) };
      const pristine = join(directory, `${spec.id}.pristine.qcow2`);
      await createOverlay(base, pristine);
      return { spec: base, pristine };
    }),
  );
  const spec = {
    ...manifest.spec,
    ...(ramFile !== undefined && { ram: { kind: 'file' as const, path: ramFile, share: false } }),
  };
  const strategy = ramFile === undefined ? 'file' : 'template';
  return { strategy, directory, ramFile, state, spec, disks, machineType: manifest.machineType };
}

/** Returns why this host cannot load the snapshot; undefined when it can. */
async function explainMismatch(
  folder: string,
  manifest: SavedManifest,
  { binary }: Pick<SnapshotContext, 'binary'>,
): Promise<QmpilotError | undefined> {
  const refuse = (message: string, hint: string) =>
    new QmpilotError('SNAPSHOT', `the snapshot at ${folder} ${message}`, { hint });
  if (manifest.qemu !== binary.version.text) {
    return refuse(
      `was saved by QEMU ${manifest.qemu} with the machine ${manifest.machineType}, and this is QEMU ${binary.version.text}`,
      'name the QEMU that saved it by $QMPILOT_QEMU, or save the snapshot again',
    );
  }
  if (manifest.accelerator.accelerator === 'kvm') {
    const reason = await whyKvmCannotOpen();
    if (reason) return refuse(`was saved under KVM, but ${reason}`, 'save it again on this host');
  }
  if (manifest.hostFlags) {
    const here = new Set(await cpuFlags());
    const missing = manifest.hostFlags.filter((flag) => !here.has(flag));
    if (missing.length > 0)
      return refuse(
        `was saved on a processor with ${missing.slice(0, 8).join(', ')}, which this one lacks`,
        'save it again on this host',
      );
  }
  for (const file of manifest.files) {
    const why = await explainDamage(join(folder, file.name), file);
    if (why) return refuse(`is incomplete: ${file.name} ${why}`, 'remove it and save it again');
  }
  for (const base of manifest.bases) {
    const why = await differs(base);
    if (why)
      return refuse(`needs the image ${base.path}, which ${why}`, 'restore that image, or save the snapshot again');
  }
  return undefined;
}

async function explainDamage(path: string, file: SavedFile): Promise<string | undefined> {
  const info = await stat(path).catch(() => undefined);
  if (!info) return 'is missing';
  if (info.size !== file.bytes) return `has ${info.size} bytes instead of ${file.bytes}`;
  return file.sha256 === undefined || (await sha256(path)) === file.sha256 ? undefined : 'has different contents';
}
