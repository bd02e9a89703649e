import { open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { QmpilotError } from '../errors.js';
import { lockFile } from '../util/files/file-lock.js';
import { cacheRoot } from '../util/files/paths.js';
import { ensurePrivateDirectory, isTrusted } from '../util/files/private-directory.js';
import { removeDirectory } from '../util/files/remove-directory.js';
import { findByPrefix } from '../util/text/by-prefix.js';

/** A guest image in the cache; its folder appears only when it is complete. */
export interface GuestImage {
  readonly key: string;
  readonly dir: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly disk: string;
  readonly manifest: ImageManifest;
  /** Bytes on disk. */
  readonly bytes: number;
}

/** Manifest of an image in the cache. */
export interface ImageManifest {
  readonly v: 1;
  /** `debian`, `debian-trixie`, `debian+io-uring-unlocked-flush`. */
  readonly name: string;
  /** Key of the image below, which has the kernel and all that this one does not add. */
  readonly parent?: string;
  /** What this image adds to the one below, for people. */
  readonly adds?: string;
  readonly kernelRelease: string;
  /** Wall clock, ISO 8601. */
  readonly builtAt: string;
  readonly buildMs: number;
  /** `name version` of each Debian package. */
  readonly packages: readonly string[];
}

export const IMAGE_FILES = {
  kernel: 'vmlinuz',
  initrd: 'initrd.img',
  disk: 'disk.qcow2',
  manifest: 'manifest.json',
} as const;

const KEY = /^[0-9a-f]{32}$/;

export function imagesDirectory(cacheDir = cacheRoot()): string {
  return join(cacheDir, 'images');
}

/** The image of this key; undefined when there is none, or not all of it. */
export async function findImage(key: string, cacheDir?: string): Promise<GuestImage | undefined> {
  const dir = join(imagesDirectory(cacheDir), key);
  try {
    const manifest: unknown = JSON.parse(await readFile(join(dir, IMAGE_FILES.manifest), 'utf8'));
    if (!isManifest(manifest) || !(await isTrusted(dir))) return undefined;
    const disk = join(dir, IMAGE_FILES.disk);
    const sizeOf = async (path: string) => (await stat(path)).blocks * 512;
    if (manifest.parent !== undefined) {
      const below = await findImage(manifest.parent, cacheDir);
      return below && { ...below, key, dir, disk, manifest, bytes: await sizeOf(disk) };
    }
    const paths = { kernel: join(dir, IMAGE_FILES.kernel), initrd: join(dir, IMAGE_FILES.initrd), disk };
    const sizes = await Promise.all(Object.values(paths).map(sizeOf));
    return { key, dir, ...paths, manifest, bytes: sizes.reduce((sum, size) => sum + size, 0) };
  } catch {
    return undefined;
  }
}

/** Marks an image and those below it as used now; `guest ls` shows it. */
export async function touchImage(image: GuestImage): Promise<void> {
  const now = new Date();
  const images = dirname(image.dir);
  await utimes(image.dir, now, now).catch(() => {});
  const { parent } = image.manifest;
  const below = parent === undefined ? undefined : await findImage(parent, dirname(images));
  if (below) await touchImage(below);
}

/** Lists the complete images in the cache, the last used first. */
export async function listImages(cacheDir?: string): Promise<readonly (GuestImage & { readonly usedAt: string })[]> {
  const keys = (await readdir(imagesDirectory(cacheDir)).catch(() => [])).filter((name) => KEY.test(name));
  const images = [];
  for (const key of keys) {
    const image = await findImage(key, cacheDir);
    if (image) images.push({ ...image, usedAt: (await stat(image.dir)).mtime.toISOString() });
  }
  return images.toSorted((one, other) => other.usedAt.localeCompare(one.usedAt));
}

/**
 * Removes images by key, or by an unambiguous beginning of one. A VM that uses one keeps running: its files are open.
 * @returns the keys removed
 * @throws {NOT_FOUND} {USAGE} when a key matches none, or more than one, or other images are built on it; nothing is removed then
 */
export async function removeImages(keys: readonly string[], cacheDir?: string): Promise<string[]> {
  const known = await listImages(cacheDir);
  const chosen = findByPrefix(
    known.map(({ key }) => key),
    keys,
    'image',
  );
  const below = new Set(chosen);
  const above = new Set<string>();
  for (let before = -1; before !== above.size;) {
    before = above.size;
    for (const { key, manifest } of known) {
      if (manifest.parent === undefined || below.has(key) || !below.has(manifest.parent)) continue;
      below.add(key);
      above.add(key);
    }
  }
  if (above.size > 0)
    throw new QmpilotError('USAGE', `other images are built on ${chosen.join(', ')}`, {
      hint: `remove those as well: ${[...above].join(' ')}`,
    });
  for (const key of chosen) await removeFolder(join(imagesDirectory(cacheDir), key));
  return chosen;
}

/**
 * Removes images and kernels that were not used for some days, and images that cannot be used, as one below them is gone. An image
 * below one that was used counts as used.
 * @returns the keys removed
 */
export async function removeUnusedImages(days: number, cacheDir?: string): Promise<string[]> {
  const directory = imagesDirectory(cacheDir);
  const limit = Date.now() - days * 24 * 3600 * 1000;
  const removed = [];
  for (const name of await readdir(directory).catch(() => [])) {
    if (!KEY.test(name) && !/^(?:kernel|kmod)-[0-9a-f-]+$/.test(name)) continue;
    const usable = !KEY.test(name) || (await findImage(name, cacheDir)) !== undefined;
    if (usable && (await stat(join(directory, name))).mtimeMs >= limit) continue;
    await removeFolder(join(directory, name));
    removed.push(name);
  }
  return removed;
}

/** Renames it before its files are removed, so that no process starts from part of an image. */
async function removeFolder(dir: string): Promise<void> {
  const doomed = `${dir}.removed-${process.pid}`;
  await rename(dir, doomed);
  await removeDirectory(doomed);
}

/**
 * Runs `task` while no other process builds the same key. The lock ends with this process.
 * @throws {TOOL_MISSING} without flock
 */
export async function withImageLock<T>(
  key: string,
  cacheDir: string | undefined,
  signal: AbortSignal | undefined,
  onWait: () => void,
  task: () => Promise<T>,
): Promise<T> {
  const directory = imagesDirectory(cacheDir);
  await ensurePrivateDirectory(directory);
  const path = join(directory, `${key}.lock`);
  await using file = await open(path, 'a', 0o600);
  const waiting = setTimeout(onWait, 500);
  try {
    await lockFile(file.fd, path, { patience: Infinity, signal });
  } finally {
    clearTimeout(waiting);
  }
  const result = await task();
  // Only after a build that succeeded: after a failure the next process that waits for this very file builds, alone.
  await rm(path, { force: true });
  return result;
}

function isManifest(value: unknown): value is ImageManifest {
  return (
    typeof value === 'object' &&
    value !== null &&
    'v' in value &&
    value.v === 1 &&
    'kernelRelease' in value &&
    typeof value.kernelRelease === 'string' &&
    (!('parent' in value) || (typeof value.parent === 'string' && KEY.test(value.parent)))
  );
}
