import { readdir, rename, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { QmpilotError } from '../../errors.js';
import { cacheRoot } from '../../util/paths.js';
import { ensurePrivateDirectory } from '../../util/private-directory.js';
import { removeDirectory } from '../../util/remove-directory.js';
import { readManifest } from './manifest.js';
import { removeUnfinished, usedBytes } from './save.js';

/** A snapshot that was kept for later runs. */
export interface KeptSnapshot {
  readonly name: string;
  readonly path: string;
  readonly guest: string;
  readonly qemu: string;
  readonly memoryMiB: number;
  /** Bytes really used on disk. */
  readonly bytes: number;
  /** Wall clock, ISO 8601. */
  readonly savedAt: string;
  readonly usedAt: string;
}

/** Least recently used ones go when all together are larger. */
export const DEFAULT_CACHE_BYTES = 8 * 2 ** 30;

export function keptDirectory(cacheDir = cacheRoot()): string {
  return join(cacheDir, 'snapshots');
}

/** All whole kept snapshots of the cache, the last used first. */
export async function listKept(cacheDir?: string): Promise<readonly KeptSnapshot[]> {
  const found = await Promise.all(
    (await listFolders(cacheDir)).map((folder) => describeKept(folder).catch(() => undefined)),
  );
  return found.filter((one) => one !== undefined);
}

type KeptFolder = Pick<KeptSnapshot, 'name' | 'path' | 'bytes' | 'usedAt'>;

/** All that takes room in the cache, the last used first: also what cannot be used, for it is damaged or of another version of qmpilot. */
async function listFolders(cacheDir: string | undefined): Promise<readonly KeptFolder[]> {
  const parent = keptDirectory(cacheDir);
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

/** @throws {SNAPSHOT} when it is none */
async function describeKept(folder: KeptFolder): Promise<KeptSnapshot> {
  const { guest, qemu, spec, savedAt } = await readManifest(folder.path);
  return { ...folder, guest: guest.name, qemu, memoryMiB: spec.memoryMiB, savedAt };
}

/**
 * Removes kept snapshots by name, or by the beginning of a name that fits one only, or all of them. What runs on one goes on.
 * @returns the names removed
 * @throws {USAGE} when a name fits none or several; nothing is removed then
 */
export async function removeKept(names: readonly string[] | 'all', cacheDir?: string): Promise<string[]> {
  const known = (await listFolders(cacheDir)).map(({ name }) => name);
  const chosen =
    names === 'all'
      ? known
      : names.map((wanted) => {
          const fitting = known.includes(wanted)
            ? [wanted]
            : known.filter((name) => wanted !== '' && name.startsWith(wanted));
          const [name] = fitting;
          if (name !== undefined && fitting.length === 1) return name;
          throw new QmpilotError(
            'USAGE',
            fitting.length === 0
              ? `there is no kept snapshot ${JSON.stringify(wanted)}`
              : `${JSON.stringify(wanted)} fits ${fitting.length} kept snapshots`,
            {
              hint: known.length > 0 ? `there are: ${known.join(', ')}` : 'none has been kept yet',
            },
          );
        });
  for (const name of new Set(chosen)) await discard(join(keptDirectory(cacheDir), name));
  return [...new Set(chosen)];
}

/** Removes the least recently used ones until the rest takes no more than `maxBytes`; never the one named `spare`. */
export async function boundCache(maxBytes: number, spare: string, cacheDir?: string): Promise<string[]> {
  await removeUnfinished(keptDirectory(cacheDir));
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

/** Gone under its name at once, so that nobody opens half of it. */
export async function discard(path: string): Promise<void> {
  const doomed = join(path, '..', `.removed.partial-${process.pid}-${Date.now().toString(36)}`);
  try {
    await rename(path, doomed);
  } catch {
    // Somebody else was first.
    return;
  }
  await removeDirectory(doomed);
}

export async function touchKept(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
}

export async function ensureKeptDirectory(cacheDir?: string): Promise<string> {
  const parent = keptDirectory(cacheDir);
  await ensurePrivateDirectory(parent);
  return parent;
}
