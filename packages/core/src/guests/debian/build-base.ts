import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shQuote } from '../../util/text/sh-quote.js';
import { makeImage, move } from '../build/make-image.js';
import { progressOf, runMmdebstrap } from '../build/mmdebstrap.js';
import type { PrepareContext } from '../guest.js';
import { IMAGE_FILES } from '../image-cache.js';
import { BASE_DISK_SIZE, DEFAULT_SUITE, imageName, type DebianImageOptions } from './image-options.js';
import { guestFolder, PACKAGES } from './recipe.js';
import { stageOverlay } from './stage.js';

/** Leaves man pages, documentation and translations out of every image. */
export const DPKG_OPTIONS: readonly string[] = ['man', 'doc', 'locale'].map(
  (part) => `--dpkgopt=path-exclude=/usr/share/${part}/*`,
);

/** Builds the lowest layer: Debian itself, with its kernel and an initrd. The caller holds the lock of `key`. */
export async function buildBase(
  key: string,
  options: DebianImageOptions,
  context: PrepareContext,
  tell: (message: string) => void,
): Promise<void> {
  await makeImage({
    key,
    context,
    tell,
    build: async ({ work, output }, say) => {
      say(`building the image ${imageName(options)}: fetching npm packages`);
      const overlay = await stageOverlay(work, context.signal);
      say('installing Debian');
      await runMmdebstrap({
        args: await mmdebstrapArguments(options, overlay, work),
        env: { QMPILOT_DISK_SIZE: BASE_DISK_SIZE },
        cwd: work,
        suite: options.suite ?? DEFAULT_SUITE,
        signal: context.signal,
        onLine: progressOf(say),
      });
      // The image's name changes only when all of it is there.
      for (const file of [IMAGE_FILES.kernel, IMAGE_FILES.initrd, IMAGE_FILES.disk])
        await move(join(work, file), join(output, file));
      const text = async (name: string) => (await readFile(join(work, name), 'utf8')).trim();
      return {
        name: imageName(options),
        kernelRelease: await text('release'),
        packages: (await text('packages')).split('\n'),
      };
    },
  });
}

async function mmdebstrapArguments(options: DebianImageOptions, overlay: string, work: string): Promise<string[]> {
  const hook = (command: string) => `--customize-hook=${command}`;
  const download = (from: string, to: string) => hook(`download ${from} ${shQuote(join(work, to))}`);
  return [
    '--variant=minbase',
    '--skip=output/dev',
    `--include=${PACKAGES.join(',')}`,
    ...DPKG_OPTIONS,
    hook(`tar-in ${shQuote(overlay)} /`),
    hook('chroot "$1" /bin/sh /qmpilot-build/inside.sh'),
    download('/boot/vmlinuz', IMAGE_FILES.kernel),
    download('/boot/initrd.img', IMAGE_FILES.initrd),
    download('/boot/release', 'release'),
    download('/boot/packages', 'packages'),
    hook(await readFile(join(guestFolder(), 'build', 'outside.sh'), 'utf8')),
    download('/qmpilot.qcow2', IMAGE_FILES.disk),
    options.suite ?? DEFAULT_SUITE,
    '/dev/null',
  ];
}
