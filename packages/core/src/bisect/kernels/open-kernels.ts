import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QmpilotError } from '../../errors.js';
import { DEFAULT_SUITE } from '../../guests/debian/image-options.js';
import { type KernelPackage, listKernelPackages } from '../../guests/kernels/list-packages.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import type { Range } from '../git/range.js';
import type { About } from '../journal.js';
import type { BisectKernelsOptions } from '../options.js';
import { compareVersions } from './compare-versions.js';

export type Kernels = NonNullable<About['kernels']>;

/** So many names are listed in an error. */
const MAX_LISTED = 12;

/**
 * Finds the kernels that are bisected in the mirror that guests are built from.
 * @throws {USAGE} when the pattern does not name at least two of them
 * @throws {TOOL_MISSING} {GUEST_BUILD} {ABORTED}
 */
export async function findKernels({
  kernels: pattern,
  suite = DEFAULT_SUITE,
  signal,
}: Pick<BisectKernelsOptions, 'kernels' | 'suite' | 'signal'>): Promise<Kernels> {
  checkPattern(pattern);
  const work = await mkdtemp(join(tmpdir(), 'qmpilot-kernels-'));
  try {
    const own = await listKernelPackages({ suite, work, signal });
    // Not every suite has backports.
    const more = (error: unknown) => {
      if (signal?.aborted) throw error;
      return [];
    };
    const available =
      matchingKernels(pattern, own).length > 1
        ? own
        : [...own, ...(await listKernelPackages({ suite, backports: true, work, signal }).catch(more))];
    return { pattern, suite, packages: selectKernels(pattern, suite, available) };
  } finally {
    await removeDirectory(work);
  }
}

/** @throws {USAGE} for a pattern that can name no kernel */
export function checkPattern(pattern: string): void {
  if (/^linux-image-[a-z0-9+.~*?-]+$/.test(pattern)) return;
  throw new QmpilotError('USAGE', `kernels: ${JSON.stringify(pattern)} does not name kernel packages of Debian`, {
    hint: "expected a name that begins with linux-image- and may have * and ? in it: 'linux-image-6.1.0-*-cloud-amd64'",
  });
}

/**
 * Selects the packages of a pattern, the oldest version first.
 * @throws {USAGE} unless there are at least two, and only one of each version
 */
export function selectKernels(
  pattern: string,
  suite: string,
  available: readonly KernelPackage[],
): Kernels['packages'] {
  const matching = matchingKernels(pattern, available);
  const [only] = matching;
  if (only === undefined)
    throw new QmpilotError('USAGE', `no kernel of Debian ${suite} matches ${pattern}`, {
      hint: `there are ${listed(available.map(({ name }) => name))}`,
    });
  if (matching.length === 1)
    throw new QmpilotError(
      'USAGE',
      `only one kernel of Debian ${suite} matches ${pattern}: ${only.name} ${only.version}`,
      {
        hint: 'there has to be one without the failure and one with it: a pattern with * matches several versions',
      },
    );
  for (const [index, { name, version }] of matching.entries()) {
    const next = matching[index + 1];
    if (next && compareVersions(version, next.version) === 0)
      throw new QmpilotError(
        'USAGE',
        `${pattern} matches several kernels of version ${version}: ${name}, ${next.name}`,
        {
          hint: 'name one flavour: linux-image-6.1.0-*-cloud-amd64',
        },
      );
  }
  const isUnique = (name: string) => matching.filter((one) => one.name === name).length === 1;
  return matching.map(({ name, version }) => ({ id: isUnique(name) ? name : `${name}=${version}`, version }));
}

/** The packages of a pattern, each one once, the oldest version first. */
function matchingKernels(pattern: string, available: readonly KernelPackage[]): KernelPackage[] {
  const source = pattern
    .replaceAll(/[.+]/g, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  const expression = new RegExp(`^${source}$`);
  const matching = available.filter(({ name }) => expression.test(name));
  return [...new Map(matching.map((one) => [`${one.name}=${one.version}`, one])).values()].toSorted((one, other) =>
    compareVersions(one.version, other.version),
  );
}

/**
 * Makes a history of kernels, each one the successor of the one before.
 * @throws {USAGE} for ends that are not among them, the same, or swapped
 */
export function kernelRange(
  kernels: Kernels,
  ends: { readonly good?: string | undefined; readonly bad?: string | undefined } = {},
): Range {
  const { packages, pattern } = kernels;
  const find = (end: 'good' | 'bad', wanted: string | undefined): number => {
    if (wanted === undefined) return end === 'good' ? 0 : packages.length - 1;
    const found = packages.findIndex(({ id, version }) => id === wanted || version === wanted);
    if (found !== -1) return found;
    throw new QmpilotError('USAGE', `the ${end} end ${JSON.stringify(wanted)} is not among the kernels of ${pattern}`, {
      hint: `they are ${listed(packages.map(({ id }) => id))}`,
    });
  };
  const [first, last] = [find('good', ends.good), find('bad', ends.bad)];
  const [good, bad] = [packages[first]?.id ?? '', packages[last]?.id ?? ''];
  if (first === last)
    throw new QmpilotError('USAGE', `good and bad are the same kernel, ${good}`, {
      hint: 'name a good one that is older than the bad one',
    });
  if (first > last)
    throw new QmpilotError('USAGE', `good and bad are swapped: ${bad} is older than ${good}`, {
      hint: 'to find the kernel that fixed a failure, let the scenario report the attempts without it',
    });
  const versions = new Map(packages.map(({ id, version }) => [id, version]));
  return {
    subjects: async () => versions,
    ...{ good, bad, alsoGood: [], skip: [] },
    commits: packages
      .slice(first + 1, last + 1)
      .map(({ id }, index) => ({ id, parents: [packages[first + index]?.id ?? ''] })),
  };
}

function listed(names: readonly string[]): string {
  const more = names.length - MAX_LISTED;
  return `${names.slice(0, MAX_LISTED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
