import { readdir, rename, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheRoot } from '../../util/files/paths.js';
import { ensurePrivateDirectory } from '../../util/files/private-directory.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import { findByPrefix } from '../../util/text/by-prefix.js';
import { readManifest } from './manifest.js';
import { removeUnfinished, usedBytes } from './save.js';

/** A saved snapshot in the cache. */
export interface SavedSnapshot {
  readonly name: string;
  readonly path: string;
  readonly guest: string;
  readonly qemu: string;
  readonly memoryMiB: number;
  /** Bytes used on disk. */
  readonly bytes: number;
  /** Wall clock, ISO 8601. */
  readonly savedAt: string;
  readonly usedAt: string;
}

/** When all together are larger, the least recently used ones are removed. */
export const DEFAULT_CACHE_BYTES = 8 * 2 ** 30;

export function savedDirectory(cacheDir = cacheRoot()): string {
  return join(cacheDir, 'snapshots');
}

/** What `listSavedSnapshots` does. */
export async function listSaved(cacheDir?: string): Promise<readonly SavedSnapshot[]> {
  const found = await Promise.all(
    (await listFolders(cacheDir)).map((folder) => describeSaved(folder).catch(() => undefined)),
  );
  return found.filter((one) => one !== undefined);
}

type SavedFolder = Pick<SavedSnapshot, 'name' | 'path' | 'bytes' | 'usedAt'>;

/** All folders in the cache, the last used first, including damaged ones and those of other versions of qmpilot. */
async function listFolders(cacheDir: string | undefined): Promise<readonly SavedFolder[]> {
  const parent = savedDirectory(cacheDir);
  const names = (await readdir(parent).catch(() => [])).filter((name) => !name.startsWith('.'));
  const found = await Promise.all(
    names
      .map(async (name) => {
        const path = join(parent, name);
        return { name, path, bytes: await usedBytes(path), usedAt: (await stat(path)).mtime.toISOString() };
      })
      .map((folder) => folder.catch(() => undefined)),
  );
  return found.filter((one) => one !== undefined).toSorted((one, other) => other.usedAt.localeCompare(one.usedAt));
}

/** @throws {NOT_FOUND} {SNAPSHOT} when it is not a complete snapshot */
async function describeSaved(folder: SavedFolder): Promise<SavedSnapshot> {
  const { guest, qemu, spec, savedAt } = await readManifest(folder.path);
  return { ...folder, guest: guest.name, qemu, memoryMiB: spec.memoryMiB, savedAt };
}

/** What `removeSavedSnapshots` does. */
export async function removeSaved(names: readonly string[] | 'all', cacheDir?: string): Promise<string[]> {
  const known = (await listFolders(cacheDir)).map(({ name }) => name);
  const chosen = names === 'all' ? known : findByPrefix(known, names, 'saved snapshot');
  for (const name of chosen) await discard(join(savedDirectory(cacheDir), name));
  return chosen;
}

/** Removes the least recently used ones until the rest takes no more than `maxBytes`; never the one named `spare`. */
export async function boundCache(maxBytes: number, spare: string, cacheDir?: string): Promise<string[]> {
  await removeUnfinished(savedDirectory(cacheDir));
  const removed: string[] = [];
  let total = 0;
  for (const { name, path, bytes } of await listFolders(cacheDir)) {
    total += bytes;
    if (total <= maxBytes || name === spare) continue;
    await discard(path);
    removed.push(name);
    total -= bytes;
  }
  return removed;
}

/** Renames the folder before it removes the files, so that no process opens part of it. */
export async function discard(path: string): Promise<void> {
  const doomed = join(path, '..', `.removed.partial-${process.pid}-${Date.now().toString(36)}`);
  try {
    await rename(path, doomed);
  } catch {
    // Another process removes it.
    return;
  }
  await removeDirectory(doomed);
}

export async function touchSaved(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
}

export async function ensureSavedDirectory(cacheDir?: string): Promise<string> {
  const parent = savedDirectory(cacheDir);
  await ensurePrivateDirectory(parent);
  return parent;
}
