import { copyFile, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AbortedError, isQmpilotError, QmpilotError } from '../../errors.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import { shQuote } from '../../util/text/sh-quote.js';
import { monotonicMs, wallTime } from '../../util/time/clock.js';
import type { PrepareContext } from '../guest.js';
import {
  findImage,
  IMAGE_FILES,
  imagesDirectory,
  withImageLock,
  type GuestImage,
  type ImageManifest,
} from '../image-cache.js';
import { runMmdebstrap } from './mmdebstrap.js';
import {
  debianImageKey,
  DISK_SIZE,
  guestFolder,
  imageName,
  PACKAGES,
  SUITE,
  TOOLCHAIN,
  type DebianImageOptions,
} from './recipe.js';
import { stageOverlay } from './stage.js';

/**
 * The Debian image of these options: from the cache, or built, once, even if several callers need it at the same time.
 * Takes one to three minutes, 2.5 GiB while it works and about 0.4 GiB to stay.
 * @throws {TOOL_MISSING} {GUEST_BUILD} {NO_SPACE} {USAGE} {ABORTED}: nothing but an empty lock file is left behind then
 */
export async function buildDebianImage(
  options: DebianImageOptions = {},
  context: PrepareContext = {},
): Promise<GuestImage> {
  const key = await debianImageKey(options);
  const known = await findImage(key, context.cacheDir);
  if (known) return known;
  const tell = context.onProgress ?? (() => {});
  return withImageLock(
    key,
    context.cacheDir,
    context.signal,
    () => tell('another process builds the same image: waiting for it'),
    async () => {
      const meanwhile = await findImage(key, context.cacheDir);
      return meanwhile ?? build(key, options, context, tell);
    },
  );
}

async function build(
  key: string,
  options: DebianImageOptions,
  context: PrepareContext,
  tell: (message: string) => void,
): Promise<GuestImage> {
  const begun = monotonicMs();
  const say = (what: string) => tell(`${what} (${((monotonicMs() - begun) / 1000).toFixed(0)} s)`);
  await removeUnfinished(key, context.cacheDir);
  const output = await mkdtemp(join(imagesDirectory(context.cacheDir), `.building-${key}-`));
  const work = await mkdtemp(join(tmpdir(), 'qmpilot-build-'));
  try {
    say(`building the image ${imageName(options)}: fetching npm packages`);
    const overlay = await stageOverlay(options, work, context.signal);
    say('installing Debian');
    await runMmdebstrap({
      args: await mmdebstrapArguments(options, overlay, work),
      env: { QMPILOT_DISK_SIZE: DISK_SIZE },
      cwd: work,
      signal: context.signal,
      onLine: (line) => {
        const known = /^qmpilot: (.{1,200})$|^I: ((?:installing|extracting|downloading|running apt).{1,200})$/.exec(
          line,
        );
        if (known) say(known[1] ?? known[2] ?? '');
      },
    });
    // Across file systems a move is a copy; the name below changes only when all of it is there.
    for (const file of [IMAGE_FILES.kernel, IMAGE_FILES.initrd, IMAGE_FILES.disk])
      await move(join(work, file), join(output, file));
    const text = async (name: string) => (await readFile(join(work, name), 'utf8')).trim();
    const manifest: ImageManifest = {
      v: 1,
      name: imageName(options),
      kernelRelease: await text('release'),
      builtAt: wallTime(),
      buildMs: Math.round(monotonicMs() - begun),
      packages: (await text('packages')).split('\n'),
    };
    await writeFile(join(output, IMAGE_FILES.manifest), `${JSON.stringify(manifest, null, 2)}\n`);
    await rename(output, join(imagesDirectory(context.cacheDir), key));
  } catch (error) {
    throw asBuildError(error, context.signal);
  } finally {
    await removeDirectory(output);
    await removeDirectory(work);
  }
  const image = await findImage(key, context.cacheDir);
  if (!image)
    throw new QmpilotError('GUEST_BUILD', 'the image that was built is not there', {
      hint: 'was the cache cleared meanwhile?',
    });
  say('the image is ready');
  return image;
}

async function mmdebstrapArguments(options: DebianImageOptions, overlay: string, work: string): Promise<string[]> {
  const include = [...PACKAGES, ...(options.defect === undefined ? [] : TOOLCHAIN)].join(',');
  const hook = (command: string) => `--customize-hook=${command}`;
  const download = (from: string, to: string) => hook(`download ${from} ${shQuote(join(work, to))}`);
  return [
    '--variant=minbase',
    '--skip=output/dev',
    `--include=${include}`,
    ...['man', 'doc', 'locale'].map((part) => `--dpkgopt=path-exclude=/usr/share/${part}/*`),
    hook(`tar-in ${shQuote(overlay)} /`),
    hook('chroot "$1" /bin/sh /qmpilot-build/inside.sh'),
    download('/boot/vmlinuz', IMAGE_FILES.kernel),
    download('/boot/initrd.img', IMAGE_FILES.initrd),
    download('/boot/release', 'release'),
    download('/boot/packages', 'packages'),
    hook(await readFile(join(guestFolder(), 'build', 'outside.sh'), 'utf8')),
    download('/qmpilot.qcow2', IMAGE_FILES.disk),
    SUITE,
    '/dev/null',
  ];
}

async function move(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  await rm(from);
}

/** What a builder that was killed left: the lock is ours, so nobody works on it. */
async function removeUnfinished(key: string, cacheDir: string | undefined): Promise<void> {
  const directory = imagesDirectory(cacheDir);
  for (const name of await readdir(directory)) {
    if (name.startsWith(`.building-${key}-`)) await removeDirectory(join(directory, name));
  }
}

function asBuildError(error: unknown, signal: AbortSignal | undefined): unknown {
  if (isQmpilotError(error)) return error;
  if (signal?.aborted) return new AbortedError('the build of the image', signal.reason);
  // A program that found no room says so in its own words.
  const said = `${String(error)}\n${error instanceof Error && 'stderr' in error ? String(error.stderr) : ''}`;
  if (/ENOSPC|No space left on device/.test(said)) {
    return new QmpilotError('NO_SPACE', 'no room to build the image: about 2.5 GiB are needed', {
      cause: error,
      hint: 'free some room in TMPDIR and in the cache, or set TMPDIR and QMPILOT_CACHE',
    });
  }
  return new QmpilotError(
    'GUEST_BUILD',
    `the image could not be built: ${error instanceof Error ? error.message : String(error)}`,
    { cause: error },
  );
}
