import { copyFile, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AbortedError, isQmpilotError, QmpilotError, type ErrorDetails } from '../../errors.js';
import { acquireHostDirectories, releaseHostDirectories } from '../../qemu/host/directories.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import { monotonicMs, wallTime } from '../../util/time/clock.js';
import type { PrepareContext } from '../guest.js';
import { IMAGE_FILES, imagesDirectory, type ImageManifest } from '../image-cache.js';

/** Folders of a build: `work` is temporary, what is in `output` becomes the image. */
export interface BuildFolders {
  readonly work: string;
  readonly output: string;
}

export interface ImageBuild {
  readonly key: string;
  readonly context: PrepareContext;
  readonly tell: (message: string) => void;
  /** Fills `output` but for the manifest, which it gives. `say` reports progress with the time so far. */
  readonly build: (
    folders: BuildFolders,
    say: (what: string) => void,
  ) => Promise<Omit<ImageManifest, 'v' | 'builtAt' | 'buildMs'>>;
}

/** Builds an image aside and gives it its place in the cache when it is complete. The caller holds the lock of its key. */
export async function makeImage({ key, context, tell, build }: ImageBuild): Promise<void> {
  const begun = monotonicMs();
  const say = (what: string) => tell(`${what} (${((monotonicMs() - begun) / 1000).toFixed(0)} s)`);
  const images = imagesDirectory(context.cacheDir);
  await removeUnfinished(key, images);
  let output: string | undefined;
  try {
    const folder = (output = await mkdtemp(join(images, `.building-${key}-`)));
    await withWorkFolder(async (work) => {
      const facts = await build({ work, output: folder }, say);
      const manifest: ImageManifest = {
        v: 1,
        ...facts,
        builtAt: wallTime(),
        buildMs: Math.round(monotonicMs() - begun),
      };
      await writeFile(join(folder, IMAGE_FILES.manifest), `${JSON.stringify(manifest, null, 2)}\n`);
      await rename(folder, join(images, key));
    });
    say('the image is ready');
  } catch (error) {
    throw asBuildError(error, context.signal);
  } finally {
    if (output !== undefined) await removeDirectory(output);
  }
}

/** The folder is removed when this process is killed as well. */
async function withWorkFolder(task: (work: string) => Promise<void>): Promise<void> {
  const { disk } = await acquireHostDirectories();
  try {
    const work = await mkdtemp(join(disk, 'build-'));
    try {
      await task(work);
    } finally {
      await removeDirectory(work);
    }
  } finally {
    await releaseHostDirectories();
  }
}

/** @returns the error of a build that found no room in TMPDIR or in the cache */
export function noRoomError(details: ErrorDetails): QmpilotError {
  return new QmpilotError('NO_SPACE', 'no room to build the image', {
    ...details,
    hint: `free some room in ${tmpdir()} and in the cache, or set TMPDIR and QMPILOT_CACHE: an image needs about 2.5 GiB while it is built, a kernel about eight times the size of its package`,
  });
}

/** Moves a file: across file systems that is a copy. */
export async function move(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  await rm(from);
}

/** Removes the leftovers of a builder that was killed: this process holds the lock, so no other one uses them. */
async function removeUnfinished(key: string, directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.startsWith(`.building-${key}-`)) await removeDirectory(join(directory, name));
  }
}

function asBuildError(error: unknown, signal: AbortSignal | undefined): unknown {
  if (isQmpilotError(error)) return error;
  if (signal?.aborted) return new AbortedError('the build of the image', signal.reason);
  // A program that found no room says so in its own words.
  const said = `${String(error)}\n${error instanceof Error && 'stderr' in error ? String(error.stderr) : ''}`;
  if (/ENOSPC|No space left on device/.test(said)) return noRoomError({ cause: error });
  return new QmpilotError(
    'GUEST_BUILD',
    `the image could not be built: ${error instanceof Error ? error.message : String(error)}`,
    { cause: error },
  );
}
