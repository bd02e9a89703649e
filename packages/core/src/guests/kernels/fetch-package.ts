import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import { shQuote } from '../../util/text/sh-quote.js';
import { missingPackages, runMmdebstrap } from '../build/mmdebstrap.js';

/**
 * Fetches a Debian package, without installing it, from the mirror that mmdebstrap uses: from the suite, its updates, or its backports.
 * @returns the path of the .deb
 * @throws {GUEST_BUILD} when the mirror does not have it
 */
export async function fetchPackage(
  name: string,
  { suite, work, signal }: { readonly suite: string; readonly work: string; readonly signal: AbortSignal | undefined },
): Promise<string> {
  const folder = join(work, name);
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'package.deb');
  const fetch = (hooks: readonly string[]) =>
    runApt({
      hooks: [
        ...hooks,
        `--customize-hook=cd "$1" && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get download ${shQuote(name)} && mv ./*.deb qmpilot.deb`,
        `--customize-hook=download /qmpilot.deb ${shQuote(file)}`,
      ],
      ...{ suite, work, signal },
    });
  try {
    await fetch([]);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await fetch([`--setup-hook=${addBackports(suite)}`]).catch((again: unknown) => {
      throw isMissing(again) ? again : error;
    });
  }
  if (!(await readdir(folder)).includes('package.deb'))
    throw new QmpilotError('GUEST_BUILD', `cannot find the package ${name} after its download`);
  return file;
}

/** Runs hooks of mmdebstrap in a tree without packages. Its configuration of apt is mmdebstrap's: keys and mirrors, with the tree as root. */
export async function runApt({
  hooks,
  suite,
  work,
  signal,
}: {
  readonly hooks: readonly string[];
  readonly suite: string;
  readonly work: string;
  readonly signal: AbortSignal | undefined;
}): Promise<void> {
  await runMmdebstrap({
    args: ['--variant=custom', '--skip=output/dev,cleanup', ...hooks, suite, '/dev/null'],
    env: {},
    cwd: work,
    suite,
    signal,
    onLine: () => {},
  });
}

function isMissing(error: unknown): boolean {
  return isQmpilotError(error, 'GUEST_BUILD') && missingPackages((error.evidence?.stderr ?? []).join('\n')).length > 0;
}

/** Kernels of the next release are in the backports of a stable one. */
export function addBackports(suite: string): string {
  const expression = `s/ ${suite} main/ ${suite}-backports main/p`;
  return `sed -n '${expression}' "$1/etc/apt/sources.list" > "$1/etc/apt/sources.list.d/backports.list"`;
}
