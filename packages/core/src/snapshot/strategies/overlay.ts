import { execFile } from 'node:child_process';
import { chmod, copyFile, link, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { QmpilotError } from '../../errors.js';
import type { DiskSpec } from '../../qemu/command-line/machine-spec.js';
import { abortError } from '../../util/async/limit.js';
import { requireProgram } from '../../util/files/which.js';
import { isObject } from '../../util/validation/is-object.js';

const run = promisify(execFile);

/**
 * Creates an empty qcow2 overlay at `path`: writes go there, and everything else is read from `base`.
 * @throws {TOOL_MISSING} without qemu-img
 * @throws {NO_SPACE} when it cannot be written
 */
export async function createOverlay(
  base: { readonly file: string; readonly format: string },
  path: string,
): Promise<void> {
  await qemuImg(
    ['create', '-q', '-f', 'qcow2', '-F', base.format, '-b', base.file, path],
    `no overlay of ${base.file} could be made`,
  );
  await chmod(path, 0o600);
}

/**
 * One overlay at `path`, directly over `base`, with all that the chain of overlays down to it holds.
 * `qemu-img convert -B` copies what the upper image of a chain holds, and nothing of those between it and the base.
 */
export async function flattenOverlay(
  overlay: string,
  base: ImageFile,
  path: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const failed = `${overlay} could not be copied`;
  const chain = await backingChain(overlay);
  if (chain.length <= 2 || (await samePath(chain[1]?.file, base.file))) {
    await qemuImg(['convert', '-U', '-O', 'qcow2', '-B', base.file, '-F', base.format, overlay, path], failed, signal);
    return;
  }
  await qemuImg(['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', overlay, path], failed, signal);
  // Of images in one chain, qemu-img reads only what is allocated above the new base.
  await qemuImg(['rebase', '-q', '-F', base.format, '-b', base.file, path], failed, signal);
}

export interface ImageFile {
  readonly file: string;
  readonly format: string;
}

/**
 * The image below an overlay's own data, and those below it: from the first of `known` in its chain of backing files on, or
 * the lowest where none of them is in it.
 */
export async function baseImages(overlay: string, known: readonly string[]): Promise<[ImageFile, ...ImageFile[]]> {
  const chain = await backingChain(overlay);
  const paths = await Promise.all(chain.map(({ file }) => realPath(file)));
  const candidates = new Set(await Promise.all(known.map(realPath)));
  const at = paths.findIndex((path, index) => index > 0 && candidates.has(path));
  const images = chain.map(({ format }, index) => ({ file: paths[index] ?? '', format })).slice(at);
  const [base, ...below] = images;
  if (base) return [base, ...below];
  throw new QmpilotError('SNAPSHOT', `qemu-img names no backing file of ${overlay}`);
}

/** An image and its backing files, the lowest last. */
async function backingChain(image: string): Promise<ImageFile[]> {
  const chain: unknown = JSON.parse(
    await qemuImg(['info', '--output=json', '--backing-chain', '-U', image], `${image} cannot be read`),
  );
  return (Array.isArray(chain) ? chain : []).flatMap((each: unknown) =>
    isObject(each) && typeof each['filename'] === 'string'
      ? [{ file: each['filename'], format: String(each['format']) }]
      : [],
  );
}

async function samePath(one: string | undefined, other: string): Promise<boolean> {
  return one !== undefined && (await realPath(one)) === (await realPath(other));
}

function realPath(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

async function qemuImg(args: readonly string[], failed: string, signal?: AbortSignal): Promise<string> {
  const tool = await requireProgram('qemu-img', 'on Debian: apt-get install qemu-utils');
  try {
    return (await run(tool, args, { signal })).stdout;
  } catch (cause) {
    if (signal?.aborted) throw abortError(`qemu-img ${args[0] ?? ''}`, signal);
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
    throw new QmpilotError(/No space left|Disk quota exceeded/.test(said) ? 'NO_SPACE' : 'IO', `${failed}: ${said}`, {
      cause,
      hint: 'check that the disk image exists and has the given format, and that TMPDIR has room for overlays',
    });
  }
}

/** Overlays of `disks` in `directory`, one each. */
export async function overlayDisks(disks: readonly DiskSpec[], directory: string): Promise<DiskSpec[]> {
  return Promise.all(
    disks.map(async (disk): Promise<DiskSpec> => {
      if (disk.readOnly) return disk;
      const file = join(directory, `${disk.id}.qcow2`);
      await createOverlay(disk, file);
      return overlayOf(disk, file);
    }),
  );
}

function overlayOf({ id }: DiskSpec, file: string): DiskSpec {
  return { id, file, format: 'qcow2' };
}

/** A disk as it was when the snapshot was taken, and an empty overlay of it, which is copied for each fork. */
export interface BaseDisk {
  readonly spec: DiskSpec;
  readonly pristine: string | undefined;
}

/**
 * Gives a machine's files another name in the snapshot's folder, where forks find them. A machine that still runs keeps its own
 * until `dropNames`: QEMU reopens a file by its name when it stops writing to it.
 */
export async function createBaseDisks(disks: readonly DiskSpec[], directory: string): Promise<BaseDisk[]> {
  return Promise.all(
    disks.map(async (spec): Promise<BaseDisk> => {
      if (spec.readOnly) return { spec, pristine: undefined };
      if (spec.foreign) return withPristine(spec, directory);
      const base = { ...spec, file: join(directory, `${spec.id}.qcow2`) };
      await link(spec.file, base.file);
      return withPristine(base, directory);
    }),
  );
}

async function withPristine(spec: DiskSpec, directory: string): Promise<BaseDisk> {
  const pristine = join(directory, `${spec.id}.pristine.qcow2`);
  await createOverlay(spec, pristine);
  return { spec, pristine };
}

/** Removes the names by which the machine knows its files, when it no longer writes to them. */
export async function dropNames(disks: readonly DiskSpec[], bases: readonly BaseDisk[]): Promise<void> {
  for (const [index, { spec }] of bases.entries()) {
    const original = disks[index];
    if (original && original.file !== spec.file) await rm(original.file, { force: true });
  }
}

/** Creates a fork's own disks. Copying an empty overlay is much faster than a run of qemu-img. */
export async function forkDisks(disks: readonly BaseDisk[], directory: string): Promise<DiskSpec[]> {
  return Promise.all(
    disks.map(async ({ spec, pristine }): Promise<DiskSpec> => {
      if (pristine === undefined) return spec;
      const file = join(directory, `${spec.id}.qcow2`);
      await copyFile(pristine, file);
      return overlayOf(spec, file);
    }),
  );
}
