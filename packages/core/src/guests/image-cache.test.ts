import { chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deferred } from '../util/async/deferred.js';
import {
  findImage,
  IMAGE_FILES,
  imagesDirectory,
  listImages,
  removeImages,
  removeUnusedImages,
  touchImage,
  withImageLock,
} from './image-cache.js';

const KEY_A = 'a'.repeat(32);
const KEY_B = `ab${'b'.repeat(30)}`;
let cache: string;

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'qmpilot-cache-'));
});
afterEach(() => rm(cache, { recursive: true, force: true }));

async function putImage(key: string, usedAt = new Date()): Promise<string> {
  const dir = join(imagesDirectory(cache), key);
  await mkdir(dir, { recursive: true, mode: 0o755 });
  for (const file of [IMAGE_FILES.kernel, IMAGE_FILES.initrd, IMAGE_FILES.disk])
    await writeFile(join(dir, file), 'x'.repeat(5000));
  await writeFile(
    join(dir, IMAGE_FILES.manifest),
    JSON.stringify({ v: 1, name: 'debian', kernelRelease: '6.1.0', builtAt: '', buildMs: 1, packages: [] }),
  );
  await utimes(dir, usedAt, usedAt);
  return dir;
}

describe('images in the cache', () => {
  it('gives an image with its paths, manifest and size', async () => {
    const dir = await putImage(KEY_A);
    const image = await findImage(KEY_A, cache);
    expect(image).toMatchObject({
      key: KEY_A,
      dir,
      disk: join(dir, IMAGE_FILES.disk),
      manifest: { kernelRelease: '6.1.0' },
    });
    expect(image?.bytes).toBeGreaterThanOrEqual(15_000);
  });

  it.each(Object.values(IMAGE_FILES))('takes a folder without its %s for no image', async (file) => {
    const dir = await putImage(KEY_A);
    await rm(join(dir, file));
    expect(await findImage(KEY_A, cache)).toBeUndefined();
  });

  it.each(['', 'null', '{"v":2,"kernelRelease":"x"}', '{"v":1}'])(
    'takes a folder with the manifest %j for no image',
    async (text) => {
      const dir = await putImage(KEY_A);
      await writeFile(join(dir, IMAGE_FILES.manifest), text);
      expect(await findImage(KEY_A, cache)).toBeUndefined();
    },
  );

  it('ignores an image in a folder that others can write to', async () => {
    const dir = await putImage(KEY_A);
    await chmod(dir, 0o722);
    expect([await findImage(KEY_A, cache), await listImages(cache)]).toEqual([undefined, []]);
  });

  it('lists whole images only, the last used first', async () => {
    await putImage(KEY_A, new Date(1_000_000));
    await putImage(KEY_B, new Date(2_000_000));
    await mkdir(join(imagesDirectory(cache), `.building-${KEY_A}-x`));
    await mkdir(join(imagesDirectory(cache), 'c'.repeat(32)));
    expect((await listImages(cache)).map(({ key }) => key)).toEqual([KEY_B, KEY_A]);
  });

  it('lists nothing where there is no cache', async () => {
    expect(await listImages(join(cache, 'none'))).toEqual([]);
  });

  it('removes by the beginning of a key', async () => {
    await putImage(KEY_A);
    await putImage(KEY_B);
    expect(await removeImages(['ab'], cache)).toEqual([KEY_B]);
    expect(await readdir(imagesDirectory(cache))).toEqual([KEY_A]);
  });

  it.each([
    ['a', 'USAGE'],
    ['zz', 'NOT_FOUND'],
    ['', 'NOT_FOUND'],
    ['../x', 'NOT_FOUND'],
  ])('removes nothing when one of the keys is %j', async (wanted, code) => {
    await putImage(KEY_A);
    await putImage(KEY_B);
    await expect(removeImages([KEY_B, wanted], cache)).rejects.toMatchObject({ code });
    expect(await listImages(cache)).toHaveLength(2);
  });
});

describe('images on top of others', () => {
  const KEY_C = 'c'.repeat(32);
  beforeEach(async () => {
    await putImage(KEY_A);
    for (const [key, parent] of [
      [KEY_B, KEY_A],
      [KEY_C, KEY_B],
    ] as const)
      await putLayer(key, parent);
  });

  async function putLayer(key: string, parent: string): Promise<void> {
    const dir = await putImage(key);
    for (const file of [IMAGE_FILES.kernel, IMAGE_FILES.initrd]) await rm(join(dir, file));
    const manifest = { v: 1, name: 'debian', parent, kernelRelease: '6.1.0', builtAt: '', buildMs: 1, packages: [] };
    await writeFile(join(dir, IMAGE_FILES.manifest), JSON.stringify(manifest));
  }

  it('have the kernel and the initrd of the lowest, and only their own bytes', async () => {
    const [base, top] = [await findImage(KEY_A, cache), await findImage(KEY_C, cache)];
    expect(top).toMatchObject({ kernel: base?.kernel, initrd: base?.initrd, key: KEY_C });
    expect(top?.disk).toContain(KEY_C);
    expect(top?.bytes).toBeLessThan(base?.bytes ?? 0);
  });

  it('cannot be used without those below, and are removed with them only', async () => {
    await expect(removeImages([KEY_A], cache)).rejects.toMatchObject({
      code: 'USAGE',
      hint: `remove those as well: ${KEY_B} ${KEY_C}`,
    });
    expect(await listImages(cache)).toHaveLength(3);
    expect(await removeImages([KEY_C], cache)).toEqual([KEY_C]);
    await rm(join(imagesDirectory(cache), KEY_A), { recursive: true });
    expect(await findImage(KEY_B, cache)).toBeUndefined();
  });

  it('count as used with those below; what was not used for long, or lacks one below, is removed as unused', async () => {
    const old = new Date(Date.now() - 40 * 24 * 3600 * 1000);
    for (const key of [KEY_A, KEY_B, KEY_C]) await utimes(join(imagesDirectory(cache), key), old, old);
    const middle = await findImage(KEY_B, cache);
    if (middle) await touchImage(middle);
    expect(await removeUnusedImages(30, cache)).toEqual([KEY_C]);
    await rm(join(imagesDirectory(cache), KEY_A), { recursive: true });
    expect(await removeUnusedImages(30, cache)).toEqual([KEY_B]);
  });
});

describe('withImageLock', () => {
  it('lets the second builder in only when the first is done, and tells it that it waits', async () => {
    const order: string[] = [];
    const entered = deferred<void>();
    const leave = deferred<void>();
    const waits = deferred<void>();
    const first = withImageLock(
      KEY_A,
      cache,
      undefined,
      () => {},
      async () => {
        entered.resolve();
        await leave.promise;
        order.push('first');
      },
    );
    await entered.promise;
    const second = withImageLock(
      KEY_A,
      cache,
      undefined,
      () => waits.resolve(),
      async () => void order.push('second'),
    );
    await waits.promise;
    expect(order).toEqual([]);
    leave.resolve();
    await Promise.all([first, second]);
    expect(order).toEqual(['first', 'second']);
  });

  it('does not make builders of different keys wait for each other', async () => {
    const inner = withImageLock(
      KEY_A,
      cache,
      undefined,
      () => {},
      () =>
        withImageLock(
          KEY_B,
          cache,
          undefined,
          () => {},
          async () => 'both',
        ),
    );
    expect(await inner).toBe('both');
  });

  it('is free again after a task that failed', async () => {
    const failing = withImageLock(
      KEY_A,
      cache,
      undefined,
      () => {},
      () => Promise.reject(new Error('no')),
    );
    await expect(failing).rejects.toThrow('no');
    expect(
      await withImageLock(
        KEY_A,
        cache,
        undefined,
        () => {},
        async () => 'in',
      ),
    ).toBe('in');
  });

  it('ends the wait with ABORTED, and the holder keeps its lock', async () => {
    const stop = new AbortController();
    await withImageLock(
      KEY_A,
      cache,
      undefined,
      () => {},
      async () => {
        const waiting = withImageLock(
          KEY_A,
          cache,
          stop.signal,
          () => stop.abort(),
          async () => 'never',
        );
        await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
      },
    );
  });

  it('does not follow a lock file of a process that is gone', async () => {
    await mkdir(imagesDirectory(cache), { recursive: true });
    await writeFile(join(imagesDirectory(cache), `${KEY_A}.lock`), '');
    expect(
      await withImageLock(
        KEY_A,
        cache,
        undefined,
        () => {},
        async () => 'in',
      ),
    ).toBe('in');
    await expect(readFile(join(imagesDirectory(cache), `${KEY_A}.lock`))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
