import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import { promisify } from 'node:util';
import { QmpilotError } from '../../errors.js';
import { isTrusted } from '../../util/files/private-directory.js';
import { requireProgram } from '../../util/files/which.js';
import { isObject } from '../../util/validation/is-object.js';
import { makeImage } from '../build/make-image.js';
import type { PrepareContext } from '../guest.js';
import { imagesDirectory, withImageLock, type GuestImage } from '../image-cache.js';
import { readBootImage, type BootImage } from './bzimage.js';
import { collectKernel, configBeside, type KernelParts } from './collect.js';
import { cpioArchive } from './cpio.js';
import { DRIVERS, embeddedConfig, missingOptions, parseKernelConfig, type ConfigNeeds } from './kernel-config.js';
import type { KernelOption } from './kernel-option.js';
import { kernelKey, locateKernel, type KernelSource } from './kernel-source.js';
import { kmodOf, type Kmod } from './kmod.js';
import { unpack } from './unpack.js';

const run = promisify(execFile);
const FILES = { kernel: 'vmlinuz', initrd: 'initrd.img', modules: 'modules.img', config: 'config' } as const;

/** A kernel in the cache, with an initrd that boots a Debian image, and its modules as a disk. */
export interface PreparedKernel {
  readonly key: string;
  readonly release: string;
  readonly kernel: string;
  readonly initrd: string;
  /** An ext4 file system with the folder of the kernel's modules; missing when it has none. */
  readonly modules?: string;
}

export interface KernelRequest {
  readonly option: KernelOption;
  /** Release of Debian that packages are taken from. */
  readonly suite: string;
  /** The image that it boots: its initrd is completed with the kernel's drivers. */
  readonly image: GuestImage;
  /** Whether the guest has a network card. */
  readonly network: boolean;
  /** Whether the guest mounts folders of the host. */
  readonly shares: boolean;
  readonly context: PrepareContext;
}

/**
 * Makes a kernel ready to boot a Debian image: from the cache, or once. One image serves all kernels.
 * @throws {USAGE} for a kernel that does not exist, is for another architecture, or lacks options that the guest needs
 * @throws {GUEST_BUILD} {TOOL_MISSING} {NO_SPACE} {ABORTED}
 */
export async function prepareKernel(request: KernelRequest): Promise<PreparedKernel> {
  const { option, suite, image, context, network, shares } = request;
  const source = await locateKernel(option, suite);
  // The initrd and the program that indexes the modules are those of the lowest image.
  const base = basename(join(image.initrd, '..'));
  const key = `kernel-${await kernelKey(source)}-${base.slice(0, 8)}`;
  const tell = context.onProgress ?? (() => {});
  const found =
    (await findKernel(key, context)) ??
    (await withImageLock(
      key,
      context.cacheDir,
      context.signal,
      () => tell(`another process prepares the same kernel (${nameOf(source)}): waiting for it`),
      async () => {
        const meanwhile = await findKernel(key, context);
        if (meanwhile) return meanwhile;
        await build(key, source, image, context, tell);
        return findKernel(key, context);
      },
    ));
  if (!found) throw new QmpilotError('GUEST_BUILD', `cannot find the prepared kernel ${nameOf(source)}`);
  if (found.config !== undefined)
    checkConfig(found.config, nameOf(source), { hasModules: found.modules !== undefined, network, shares });
  return found;
}

/** For people. */
function nameOf(source: KernelSource): string {
  if (source.kind === 'package') return source.name;
  return source.kind === 'files' ? source.image : source.path;
}

async function findKernel(
  key: string,
  { cacheDir }: PrepareContext,
): Promise<(PreparedKernel & { readonly config?: string }) | undefined> {
  const dir = join(imagesDirectory(cacheDir), key);
  try {
    const manifest: unknown = JSON.parse(await readFile(join(dir, 'manifest.json'), 'utf8'));
    if (!isObject(manifest) || typeof manifest['kernelRelease'] !== 'string' || !(await isTrusted(dir)))
      return undefined;
    const now = new Date();
    await utimes(dir, now, now).catch(() => {});
    const modules = join(dir, FILES.modules);
    const config = await readFile(join(dir, FILES.config), 'utf8').catch(() => undefined);
    const hasModules = await stat(modules).then(
      () => true,
      () => false,
    );
    return {
      key,
      release: manifest['kernelRelease'],
      kernel: join(dir, FILES.kernel),
      initrd: join(dir, FILES.initrd),
      ...(hasModules && { modules }),
      ...(config !== undefined && { config }),
    };
  } catch {
    return undefined;
  }
}

async function build(
  key: string,
  source: KernelSource,
  image: GuestImage,
  context: PrepareContext,
  tell: (message: string) => void,
): Promise<void> {
  const { signal } = context;
  const name = nameOf(source);
  await makeImage({
    key,
    context,
    tell,
    build: async ({ work, output }, say) => {
      say(`preparing the kernel ${name}`);
      const parts = await collectKernel(source, work, signal);
      const header = readBootImage(await readFile(parts.image), parts.image);
      const config = await configOf(parts, header);
      if (config === undefined) say('the configuration of this kernel is not known, and not checked');
      else checkConfig(config, name, { hasModules: parts.modules !== undefined, network: false });
      await copyFile(parts.image, join(output, FILES.kernel));
      if (config !== undefined) await writeFile(join(output, FILES.config), config);
      const drivers = parts.modules === undefined ? [] : await addModules(parts.modules, header.release);
      await writeFile(join(output, FILES.initrd), await initrdOf(image, drivers));
      return { name, kernelRelease: header.release, packages: [] };

      /** Makes the disk of the modules; gives the files of those that the initrd has to load, in order. */
      async function addModules(folder: string, release: string): Promise<string[]> {
        say('indexing its modules');
        const tree = join(work, 'modules');
        await takeModules(folder, release, { to: join(tree, 'lib', 'modules', release), work, signal });
        const kmod = await kmodOf(image, context);
        await kmod('depmod', ['-b', tree, release]);
        await makeModulesDisk(join(tree, 'lib', 'modules'), join(output, FILES.modules), signal);
        return driverFiles(kmod, tree, release);
      }
    },
  });
}

async function configOf(parts: KernelParts, header: BootImage): Promise<string | undefined> {
  const beside = parts.config ?? (await configBeside(parts.image, header.release));
  if (beside !== undefined) return beside;
  const vmlinux = await unpack(header.payload);
  return vmlinux && embeddedConfig(vmlinux);
}

function checkConfig(config: string, name: string, needs: ConfigNeeds): void {
  const missing = missingOptions(parseKernelConfig(config), needs);
  if (missing.length === 0) return;
  throw new QmpilotError('USAGE', `the kernel ${name} cannot boot this guest: it lacks ${missing.join(', ')}`, {
    hint: needs.hasModules
      ? 'set these options and build it again'
      : 'set these options and build it again; drivers that are modules count when the modules are given too',
  });
}

/**
 * Moves the modules to `to` where they are temporary files of this build; copies those of the user.
 * @throws {USAGE} when there are none for this release
 */
async function takeModules(
  folder: string,
  release: string,
  { to, work, signal }: { readonly to: string; readonly work: string; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const candidates = [folder, join(folder, release), join(folder, 'lib', 'modules', release)];
  for (const from of candidates) {
    if (basename(from) !== release || !(await stat(from).catch(() => undefined))?.isDirectory()) continue;
    await mkdir(join(to, '..'), { recursive: true });
    if (from.startsWith(join(work, sep))) await rename(from, to);
    // fs.cp takes a second and more for the thousands of modules.
    else await run('cp', ['-R', '-P', from, to], { signal });
    for (const link of ['build', 'source']) await rm(join(to, link), { force: true, recursive: true });
    return;
  }
  throw new QmpilotError('USAGE', `${folder} has no modules for the kernel ${release}`, {
    hint: `expected lib/modules/${release}, as make modules_install INSTALL_MOD_PATH=... fills it`,
  });
}

async function makeModulesDisk(tree: string, path: string, signal: AbortSignal | undefined): Promise<void> {
  const mke2fs = await requireProgram('mke2fs', 'on Debian: apt-get install e2fsprogs', ['/usr/sbin', '/sbin']);
  const { stdout } = await run('du', ['-sk', tree], { signal });
  const kib = Math.ceil(Number.parseInt(stdout, 10) * 1.15) + 16_384;
  const partial = `${path}.partial`;
  // It is never written to, and not kept when it is damaged: checksums would take a third of the time.
  const features = '^has_journal,^metadata_csum,^resize_inode';
  const options = ['-q', '-F', '-t', 'ext4', '-m', '0', '-b', '4096', '-O', features, '-E', 'root_owner=0:0'];
  await run(mke2fs, [...options, '-L', 'modules', '-d', tree, partial, `${kib}k`], { signal });
  await rename(partial, path);
}

async function driverFiles(kmod: Kmod, tree: string, release: string): Promise<string[]> {
  const files: string[] = [];
  for (const driver of DRIVERS.values()) {
    const text = await kmod('modprobe', ['-d', tree, '-S', release, '--show-depends', driver]);
    for (const [, file] of text.matchAll(/^insmod (\S+)/gm))
      if (file !== undefined && !files.includes(file)) files.push(file);
  }
  return files;
}

/** The image's initrd, with the drivers of another kernel in place of its own: Linux unpacks one archive after the other. */
async function initrdOf(image: GuestImage, drivers: readonly string[]): Promise<Buffer> {
  const modules = await Promise.all(
    drivers.map(async (file) => {
      const data = await unpack(await readFile(file));
      if (data) return { name: `modules/${basename(file).replace(/\.(xz|zst|gz)$/, '')}`, mode: 0o100644, data };
      throw new QmpilotError('TOOL_MISSING', `the module ${basename(file)} cannot be unpacked`, {
        hint: 'install xz-utils and zstd',
      });
    }),
  );
  const order = Buffer.from(modules.map(({ name }) => `${basename(name)}\n`).join(''));
  const own = cpioArchive([{ name: 'modules/order', mode: 0o100644, data: order }, ...modules]);
  return Buffer.concat([await readFile(image.initrd), own]);
}
