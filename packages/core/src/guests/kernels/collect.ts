import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { QmpilotError } from '../../errors.js';
import { requireProgram } from '../../util/files/which.js';
import { fetchPackage } from './fetch-package.js';
import type { KernelSource } from './kernel-source.js';

const run = promisify(execFile);

/** The parts of a kernel as files. */
export interface KernelParts {
  readonly image: string;
  /** A folder of modules, or one with a folder of modules for each release. */
  readonly modules?: string;
  readonly config?: string;
}

/**
 * Finds the parts of a kernel; fetches, unpacks or installs them to `work` where they are not files yet.
 * @throws {GUEST_BUILD} {TOOL_MISSING} {USAGE}
 */
export async function collectKernel(
  source: KernelSource,
  work: string,
  signal: AbortSignal | undefined,
): Promise<KernelParts> {
  if (source.kind === 'package') return partsOfPackage(source.name, source.suite, work, signal);
  if (source.kind === 'deb') {
    const parts = await partsOfDeb(source.path, join(work, 'deb'), signal);
    if (parts) return parts;
    throw new QmpilotError('USAGE', `kernel: ${source.path} contains no kernel`, {
      hint: 'it has to be a linux-image package itself: not one of debug symbols, headers, or one that only depends on a kernel',
    });
  }
  if (source.kind === 'files') {
    const { image, modules } = source;
    return { image, ...(modules !== undefined && { modules }) };
  }
  const config = await readFile(join(source.path, '.config'), 'utf8').catch(() => undefined);
  const modules = await installModules(source.path, join(work, 'installed'), signal);
  return {
    image: source.image,
    ...(modules !== undefined && { modules }),
    ...(config !== undefined && { config }),
  };
}

/** A package such as linux-image-cloud-amd64 only depends on the one that has the kernel. */
async function partsOfPackage(
  name: string,
  suite: string,
  work: string,
  signal: AbortSignal | undefined,
): Promise<KernelParts> {
  const deb = await fetchPackage(name, { suite, work, signal });
  const parts = await partsOfDeb(deb, join(work, 'deb'), signal);
  if (parts) return parts;
  const dpkg = await dpkgDeb();
  const { stdout } = await run(dpkg, ['-f', deb, 'Depends'], { signal });
  const real = /\blinux-image-[\w.+~-]+/.exec(stdout)?.[0];
  if (real === undefined || real === name)
    throw new QmpilotError('GUEST_BUILD', `the Debian package ${name} contains no kernel`, {
      hint: 'name a package such as linux-image-6.1.0-53-cloud-amd64',
    });
  return partsOfPackage(real, suite, work, signal);
}

async function partsOfDeb(deb: string, to: string, signal: AbortSignal | undefined): Promise<KernelParts | undefined> {
  const dpkg = await dpkgDeb();
  await mkdir(to, { recursive: true });
  const { stdout } = await run(dpkg, ['-f', deb, 'Architecture'], { signal }).catch((cause: unknown) => {
    throw unpackError(deb, cause, signal);
  });
  const architecture = stdout.trim();
  // Packages for i386 may have kernels for x86-64: their header says so.
  if (!['amd64', 'i386', 'all'].includes(architecture))
    throw new QmpilotError('USAGE', `kernel: ${deb} is a package for ${architecture}, and the guest is for x86-64`, {
      hint: 'take the package whose name ends in amd64',
    });
  await run(dpkg, ['-x', deb, to], { signal }).catch((cause: unknown) => {
    throw unpackError(deb, cause, signal);
  });
  const boot = await readdir(join(to, 'boot')).catch(() => []);
  const image = boot.find((name) => name.startsWith('vmlinuz-'));
  if (image === undefined) return undefined;
  const config = boot.find((name) => name.startsWith('config-'));
  const modules = await firstFolder([join(to, 'lib', 'modules'), join(to, 'usr', 'lib', 'modules')]);
  return {
    image: join(to, 'boot', image),
    ...(modules !== undefined && { modules }),
    ...(config !== undefined && { config: await readFile(join(to, 'boot', config), 'utf8') }),
  };
}

/** A full disk and a cancellation have errors of their own. */
function unpackError(deb: string, cause: unknown, signal: AbortSignal | undefined): unknown {
  const stderr = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
  if (signal?.aborted || /No space left on device/.test(stderr)) return cause;
  return new QmpilotError('USAGE', `kernel: ${deb} cannot be unpacked: ${stderr.split('\n').at(-1) ?? ''}`, {
    cause,
    hint: 'expected a complete Debian package',
  });
}

/** The tree is not written to, but for what `make modules_install` itself does there. */
async function installModules(tree: string, to: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  const order = await stat(join(tree, 'modules.order')).catch(() => undefined);
  if (!order || order.size === 0) return undefined;
  const make = await requireProgram('make', 'it installs the modules of a kernel tree: apt-get install make');
  const args = ['-s', '-C', tree, 'modules_install', `INSTALL_MOD_PATH=${to}`, 'INSTALL_MOD_STRIP=1', 'DEPMOD=true'];
  await run(make, args, { signal, maxBuffer: 1 << 26 }).catch((cause: unknown) => {
    if (signal?.aborted) throw cause;
    const stderr = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim().split('\n') : [];
    throw new QmpilotError('GUEST_BUILD', `make modules_install failed in ${tree}: ${stderr.at(-1) ?? ''}`, {
      cause,
      evidence: { stderr: stderr.slice(-20) },
      hint: 'build the modules first: make modules',
    });
  });
  return join(to, 'lib', 'modules');
}

async function firstFolder(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if ((await stat(path).catch(() => undefined))?.isDirectory()) return path;
  return undefined;
}

function dpkgDeb(): Promise<string> {
  return requireProgram('dpkg-deb', 'it unpacks kernel packages: on Debian it is there; elsewhere install dpkg');
}

/** The configuration beside a kernel image: `/boot/config-RELEASE`. */
export async function configBeside(image: string, release: string): Promise<string | undefined> {
  return readFile(join(dirname(image), `config-${release}`), 'utf8').catch(() => undefined);
}
