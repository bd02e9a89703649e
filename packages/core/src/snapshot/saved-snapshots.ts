import type { SavedSnapshot } from './saved/cache.js';

/** Lists the complete saved snapshots of the cache, the last used first. */
export async function listSavedSnapshots(cacheDir?: string): Promise<readonly SavedSnapshot[]> {
  const { listSaved } = await import('./saved/cache.js');
  return listSaved(cacheDir);
}

/**
 * Removes saved snapshots by name, by an unambiguous beginning of a name, or all. A VM that was started from one keeps running.
 * @returns the names removed
 * @throws {NOT_FOUND} {USAGE} when a name matches none, or more than one; nothing is removed then
 */
export async function removeSavedSnapshots(names: readonly string[] | 'all', cacheDir?: string): Promise<string[]> {
  const { removeSaved } = await import('./saved/cache.js');
  return removeSaved(names, cacheDir);
}
