import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shQuote } from '../../util/text/sh-quote.js';
import { addBackports, runApt } from './fetch-package.js';

/** A kernel that a Debian mirror has as a package. */
export interface KernelPackage {
  readonly name: string;
  readonly version: string;
}

/**
 * Lists the kernels that the mirror of mmdebstrap has for a suite, its updates included, and with `backports` those too. Packages of
 * debug symbols, and those that only depend on a kernel, are left out.
 * @throws {TOOL_MISSING} {GUEST_BUILD} {ABORTED}
 */
export async function listKernelPackages({
  suite,
  backports = false,
  work,
  signal,
}: {
  readonly suite: string;
  readonly backports?: boolean;
  readonly work: string;
  readonly signal?: AbortSignal | undefined;
}): Promise<KernelPackage[]> {
  const file = join(work, 'kernels');
  await runApt({
    hooks: [
      ...(backports ? [`--setup-hook=${addBackports(suite)}`] : []),
      `--customize-hook=APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-cache show '^linux-image-' > "$1/qmpilot.kernels"`,
      `--customize-hook=download /qmpilot.kernels ${shQuote(file)}`,
    ],
    ...{ suite, work, signal },
  });
  return parseKernelPackages(await readFile(file, 'utf8'));
}

/** Reads the output of `apt-cache show`. A package that several sources have in the same version counts once. */
export function parseKernelPackages(text: string): KernelPackage[] {
  const found = new Map<string, KernelPackage>();
  for (const record of text.split(/\n\n+/)) {
    const field = (name: string) => new RegExp(`^${name}: *(.+)$`, 'm').exec(record)?.[1]?.trim() ?? '';
    const [name, version] = [field('Package'), field('Version')];
    const isKernel =
      /^linux-image-[a-z0-9+.~-]+$/.test(name) &&
      /^[0-9A-Za-z.+:~-]+$/.test(version) &&
      !name.endsWith('-dbg') &&
      !/\blinux-image-/.test(field('Depends'));
    if (isKernel) found.set(`${name}=${version}`, { name, version });
  }
  return [...found.values()];
}
