import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { boundCache, listSaved, removeSaved } from './cache.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'qmpilot-cache-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** One that cannot be used, as after another version of qmpilot or a disk that lost its manifest. */
async function unusable(name: string, manifest: string | undefined, usedAt: Date): Promise<void> {
  const path = join(dir, 'snapshots', name);
  await mkdir(path, { recursive: true, mode: 0o700 });
  await writeFile(join(path, 'ram'), Buffer.alloc(1 << 20, 1));
  if (manifest !== undefined) await writeFile(join(path, 'manifest.json'), manifest);
  await utimes(path, usedAt, usedAt);
}

it('what cannot be used is not listed, but counts for the bound of the cache, and can be removed by name', async () => {
  await unusable('of-another-version', '{"v":0}', new Date('2026-01-01'));
  await unusable('without-manifest', undefined, new Date('2026-01-02'));
  await unusable('broken', '{', new Date('2026-01-03'));
  expect(await listSaved(dir)).toEqual([]);
  expect(await boundCache(2.5 * 2 ** 20, 'none', dir)).toEqual(['of-another-version']);
  expect(await removeSaved(['broken'], dir)).toEqual(['broken']);
  await expect(removeSaved(['broken'], dir)).rejects.toMatchObject({
    code: 'NOT_FOUND',
    hint: 'there are: without-manifest',
  });
  expect(await removeSaved('all', dir)).toEqual(['without-manifest']);
});
