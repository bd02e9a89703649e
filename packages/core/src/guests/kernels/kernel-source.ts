import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { QmpilotError } from '../../errors.js';
import { isKernelPackage, type KernelOption } from './kernel-option.js';

/** Where a kernel comes from. Paths are absolute. */
export type KernelSource =
  | { readonly kind: 'package'; readonly name: string; readonly suite: string }
  | { readonly kind: 'deb'; readonly path: string }
  | { readonly kind: 'tree'; readonly path: string; readonly image: string }
  | { readonly kind: 'files'; readonly image: string; readonly modules?: string };

/**
 * Tells which form of kernel an option is.
 * @throws {USAGE} when it names nothing that exists, or a tree that was not built
 */
export async function locateKernel(option: KernelOption, suite: string): Promise<KernelSource> {
  if (typeof option !== 'string') {
    const image = resolve(option.image);
    await kindOf(image, 'file');
    if (option.modules === undefined) return { kind: 'files', image };
    const modules = resolve(option.modules);
    await kindOf(modules, 'folder');
    return { kind: 'files', image, modules };
  }
  const path = resolve(option);
  const kind = await kindOf(path);
  if (kind === undefined && isKernelPackage(option)) return { kind: 'package', name: option, suite };
  if (kind === undefined)
    throw new QmpilotError('USAGE', `kernel: ${option} is neither a file nor the name of a kernel package of Debian`, {
      hint: "expected linux-image-..., or the path of a .deb, of a built kernel tree ('./linux'), or of a bzImage",
    });
  if (kind === 'folder') {
    const image = join(path, 'arch', 'x86', 'boot', 'bzImage');
    const architecture = await configuredFor(path);
    if (architecture !== undefined && !architecture.startsWith('x86'))
      throw new QmpilotError(
        'USAGE',
        `kernel: ${option} is configured for ${architecture}, and the guest is for x86-64`,
        { hint: 'configure and build it with ARCH=x86_64' },
      );
    if ((await kindOf(image)) !== 'file')
      throw new QmpilotError('USAGE', `kernel: ${option} has no arch/x86/boot/bzImage`, {
        hint: 'it has to be a kernel tree, or a build directory, in which make bzImage modules has ended',
      });
    return { kind: 'tree', path, image };
  }
  return path.endsWith('.deb') ? { kind: 'deb', path } : { kind: 'files', image: path };
}

/** Kconfig writes it on the third line of `.config`: `# Linux/arm64 6.1.0 Kernel Configuration`. */
async function configuredFor(tree: string): Promise<string | undefined> {
  const config = await readFile(join(tree, '.config'), 'utf8').catch(() => '');
  return /^# Linux\/(\S+) \S+ Kernel Configuration$/m.exec(config)?.[1];
}

/** Stands for the content of a kernel: of files, by their size and time; of a package, by its bytes, wherever it is. */
export async function kernelKey(source: KernelSource): Promise<string> {
  if (source.kind === 'deb') {
    const bytes = createHash('sha256').update(source.kind);
    for await (const chunk of createReadStream(source.path)) bytes.update(chunk);
    return bytes.digest('hex').slice(0, 32);
  }
  const hash = createHash('sha256').update(JSON.stringify(source));
  const files =
    source.kind === 'tree'
      ? [source.image, join(source.path, '.config'), join(source.path, 'modules.order')]
      : source.kind === 'files'
        ? [
            source.image,
            ...(source.modules === undefined ? [] : [source.modules, join(source.modules, 'modules.order')]),
          ]
        : [];
  for (const file of files) {
    const info = await stat(file).catch(() => undefined);
    hash.update(`\0${info?.size}\0${info?.mtimeMs}`);
  }
  return hash.digest('hex').slice(0, 32);
}

/** What a path is. @throws {USAGE} when it is not `wanted` */
async function kindOf(path: string, wanted?: 'file' | 'folder'): Promise<'file' | 'folder' | undefined> {
  const info = await stat(path).catch(() => undefined);
  const kind = info?.isDirectory() ? 'folder' : info?.isFile() ? 'file' : undefined;
  if (wanted !== undefined && kind !== wanted) throw new QmpilotError('USAGE', `kernel: ${path} is not a ${wanted}`);
  return kind;
}
