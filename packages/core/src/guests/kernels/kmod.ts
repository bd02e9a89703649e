import { execFile } from 'node:child_process';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { requireProgram, which } from '../../util/files/which.js';
import { makeImage } from '../build/make-image.js';
import { toRaw } from '../build/qcow2.js';
import type { PrepareContext } from '../guest.js';
import { imagesDirectory, withImageLock, type GuestImage } from '../image-cache.js';

const run = promisify(execFile);
const SBIN = ['/usr/sbin', '/sbin'];

/** The program and its libraries in the file system of a Debian image. */
const LIBRARIES = '/usr/lib/x86_64-linux-gnu';
const LOADER = 'ld-linux-x86-64.so.2';
const NEEDED = ['libc.so.6', 'libzstd.so.1', 'liblzma.so.5', 'libcrypto.so.3', LOADER];

/** Runs `depmod` or `modprobe` with arguments, and gives what it prints. */
export type Kmod = (program: 'depmod' | 'modprobe', args: readonly string[]) => Promise<string>;

/** kmod of the host, or of the image where the host has none, as in many containers. */
export async function kmodOf(image: GuestImage, context: PrepareContext): Promise<Kmod> {
  const { signal } = context;
  const host = (await which('depmod')) ?? (await which('depmod', SBIN.join(':')));
  if (host !== undefined)
    return async (program, args) => (await run(join(dirname(host), program), args, { signal })).stdout;
  const folder = await programOfImage(image, context);
  return async (program, args) => {
    const start = ['--library-path', folder, '--argv0', program, join(folder, 'kmod')];
    return (await run(join(folder, LOADER), [...start, ...args], { signal })).stdout;
  };
}

/** A folder of the cache with the image's own kmod and what it is linked with. */
async function programOfImage(image: GuestImage, context: PrepareContext): Promise<string> {
  const { signal } = context;
  const key = `kmod-${image.key}`;
  const folder = join(imagesDirectory(context.cacheDir), key);
  const isThere = () => which(join(folder, 'kmod'));
  if (await isThere()) return folder;
  await requireProgram('debugfs', 'on Debian: apt-get install e2fsprogs', SBIN);
  await withImageLock(
    key,
    context.cacheDir,
    signal,
    () => {},
    async () => {
      if (await isThere()) return;
      await makeImage({
        key,
        context,
        tell: context.onProgress ?? (() => {}),
        build: async ({ work, output }, say) => {
          say('reading depmod from the image');
          const raw = join(work, 'disk.raw');
          await toRaw(image, raw, signal);
          for (const path of ['/usr/bin/kmod', ...NEEDED.map((name) => `${LIBRARIES}/${name}`)])
            await dump(raw, path, join(output, basename(path)), signal);
          return { name: 'kmod', kernelRelease: image.manifest.kernelRelease, packages: [] };
        },
      });
    },
  );
  return folder;
}

/** Copies a file out of an ext4 image, through symbolic links. */
async function dump(raw: string, path: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  const debugfs = await requireProgram('debugfs', 'on Debian: apt-get install e2fsprogs', SBIN);
  const { stdout } = await run(debugfs, ['-R', `stat ${path}`, raw], { signal });
  const link = /link dest: "([^"]+)"/.exec(stdout)?.[1];
  if (link !== undefined) return dump(raw, resolve(dirname(path), link), to, signal);
  await run(debugfs, ['-R', `dump -p ${path} ${to}`, raw], { signal });
}
