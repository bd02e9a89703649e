import { execFile } from 'node:child_process';
import { rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { requireProgram } from '../../util/files/which.js';
import { makeImage, move } from '../build/make-image.js';
import { differenceOf, setBackingFile, toRaw } from '../build/qcow2.js';
import type { PrepareContext } from '../guest.js';
import { IMAGE_FILES, type GuestImage } from '../image-cache.js';

const run = promisify(execFile);
const SBIN = ['/usr/sbin', '/sbin'];

/** Builds a layer that makes the root file system of the image `below` larger. The caller holds the lock of `key`. */
export async function buildSizeLayer(
  key: string,
  below: GuestImage,
  bytes: number,
  context: PrepareContext,
  tell: (message: string) => void,
): Promise<void> {
  const { signal } = context;
  const hint = 'on Debian: apt-get install e2fsprogs';
  const resize2fs = await requireProgram('resize2fs', hint, SBIN);
  await makeImage({
    key,
    context,
    tell,
    build: async ({ work, output }, say) => {
      say(`making a disk of ${bytes / 2 ** 20} MiB`);
      const raw = join(work, 'disk.raw');
      await toRaw(below, raw, signal);
      await truncate(raw, bytes);
      await run(resize2fs, ['-f', raw], { signal });
      const disk = join(work, IMAGE_FILES.disk);
      await differenceOf(raw, below, disk, signal);
      await rm(raw);
      await setBackingFile(disk, below, signal);
      await move(disk, join(output, IMAGE_FILES.disk));
      return { ...below.manifest, parent: below.key, adds: `a disk of ${bytes / 2 ** 20} MiB` };
    },
  });
}
