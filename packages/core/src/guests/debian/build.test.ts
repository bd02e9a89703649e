import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { programFolder } from '../build/fake-program.fixture.js';
import { imagesDirectory } from '../image-cache.js';
import { buildDebianImage } from './build.js';
import { debianImageKey } from './layers.js';

let root: string;
let cacheDir: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'qmpilot-build-test-'));
  cacheDir = join(root, 'cache');
  const temporary = join(root, 'tmp');
  await mkdir(temporary);
  vi.stubEnv('TMPDIR', temporary);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true, force: true });
});

async function withNpm(script: string): Promise<void> {
  vi.stubEnv('PATH', await programFolder(root, { npm: script }, ['sh', 'sleep', 'flock', 'mkdir', 'rmdir']));
}

/** All but the lock, which stays: another builder may be waiting on this very file. */
const left = async () => [
  ...(await readdir(imagesDirectory(cacheDir))).filter((name) => !name.endsWith('.lock')),
  ...(await readdir(join(root, 'tmp'))),
];

describe('buildDebianImage', () => {
  it('leaves nothing behind when it fails', async () => {
    await withNpm('exit 1');
    await expect(buildDebianImage({}, { cacheDir })).rejects.toMatchObject({ code: 'GUEST_BUILD' });
    expect(await left()).toEqual([]);
  });

  it('says ABORTED with the reason, and leaves nothing behind, when the signal fires while it works', async () => {
    await withNpm('exec sleep 300');
    const stop = new AbortController();
    const building = buildDebianImage(
      {},
      { cacheDir, signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) },
    );
    await expect(building).rejects.toMatchObject({ code: 'ABORTED', cause: { message: 'enough' } });
    expect(await left()).toEqual([]);
  });

  it('clears away what a builder of the same image that was killed left, and nothing of another', async () => {
    await withNpm('exit 1');
    const other = `.building-${'0'.repeat(32)}-x`;
    for (const name of [`.building-${await debianImageKey({})}-x`, other])
      await mkdir(join(imagesDirectory(cacheDir), name), { recursive: true });
    await expect(buildDebianImage({}, { cacheDir })).rejects.toThrow();
    expect(await left()).toEqual([other]);
  });
});

describe('builders of one image at the same time', () => {
  it('take turns, also when the first one fails', async () => {
    await withNpm('mkdir "$TMPDIR/busy" || echo "two at once" >&2; sleep 0.3; rmdir "$TMPDIR/busy"; exit 1');
    const results = await Promise.allSettled([1, 2, 3].map(() => buildDebianImage({}, { cacheDir })));
    for (const result of results) {
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { code: 'GUEST_BUILD', message: expect.not.stringContaining('two at once') },
      });
    }
  });
});
