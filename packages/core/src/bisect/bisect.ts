import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { AbortedError, QmpilotError } from '../errors.js';
import { wallTime } from '../util/time/clock.js';
import type { Builder } from './builds/builder.js';
import { Builds } from './builds/builds.js';
import { CommitBuilds } from './builds/commit-builds.js';
import { openRange, type Range } from './git/range.js';
import { type About, BisectJournal, readAbout } from './journal.js';
import { findKernels, kernelRange, type Kernels } from './kernels/open-kernels.js';
import { PackageBuilds } from './kernels/package-builds.js';
import { type BisectEvent, type BisectOptions, checkOptions } from './options.js';
import type { BisectResult } from './result.js';
import { Search } from './search.js';
import { Tries } from './tries.js';
import { writeResult } from './write-result.js';

/**
 * Finds the commit that introduced a failure which does not occur in every attempt, and which may have occurred before: builds
 * commits of a git repository, and makes attempts of a scenario on them, until fresh attempts confirm an answer. The user's worktree
 * is not touched. With `kernels` it finds the kernel package of Debian instead. Every finished step is in the directory of the bisection, whatever comes after it; `resume` continues from there.
 *
 * ```ts
 * const result = await bisect({
 *   repo: '/home/me/server', good: 'v1.0', bad: 'v1.1',
 *   build: 'make && cp server "$QMPILOT_OUT"',
 *   scenario: ({ dir }) => defineScenario({ guest, prepare: (vm) => vm.copyIn(`${dir}/server`, '/server'), attempt }),
 * });
 * ```
 * @throws {USAGE} for options, revisions, a build command or a directory that cannot be used
 * @throws {GUEST_BUILD} when an end cannot be built
 * @throws what `runScenario` throws, when it is not the commit's fault
 * @throws {ABORTED}: worktree and processes are gone
 */
export async function bisect(options: BisectOptions): Promise<BisectResult> {
  const limits = checkOptions(options);
  const { signal } = options;
  const tell = options.onEvent ?? (() => {});
  try {
    const { range, kernels } = await openHistory(options);
    if (await range.repository?.hasChanges())
      tell({ type: 'progress', message: `uncommitted changes in ${range.repository?.path} are in no build` });
    const journal = await openJournal(options, range, kernels);
    const { about } = journal;
    const builds = new Builds(builderOf(range, journal, { signal, tell }), { signal, tell });
    try {
      if (options.resume !== undefined) await builds.recover();
      const { certainty, maxEndAttempts } = about;
      const tries = new Tries({ journal, builds, options: { ...options, signature: about.signature }, tell });
      const search = new Search({ range, journal, tries, tell, limits: { ...limits, certainty, maxEndAttempts } });
      return await writeResult(await search.run(), { range, tries, journal, tell });
    } finally {
      await builds.close().finally(() => journal.close());
    }
  } catch (error) {
    if (signal?.aborted) throw new AbortedError('the bisection', signal.reason);
    throw error;
  }
}

/** What is bisected. A bisection of kernels that is resumed has those of its beginning, whatever the mirror has now. */
async function openHistory(options: BisectOptions): Promise<{ readonly range: Range; readonly kernels?: Kernels }> {
  if (options.kernels === undefined) return { range: await openRange(options) };
  const before = options.resume === undefined ? undefined : (await readAbout(options.resume)).kernels;
  const isSame = before?.pattern === options.kernels && (options.suite ?? before.suite) === before.suite;
  const kernels = before && isSame ? before : await findKernels(options);
  return { range: kernelRange(kernels, options), kernels };
}

function builderOf(
  { repository }: Range,
  { about, dir }: BisectJournal,
  parts: { readonly signal: AbortSignal | undefined; readonly tell: (event: BisectEvent) => void },
): Builder {
  if (repository) return new CommitBuilds({ repository, dir, command: about.build ?? '', ...parts });
  return new PackageBuilds({ dir, suite: about.kernels?.suite ?? '' });
}

async function openJournal(options: BisectOptions, range: Range, kernels: Kernels | undefined): Promise<BisectJournal> {
  const about = describe(options, range, kernels);
  if (options.resume === undefined) {
    const time = about.startedAt.replaceAll(/[:.]/g, '').replace('T', '-').slice(0, 17);
    return BisectJournal.create(options.dir ?? `bisections/${time}`, about);
  }
  const journal = await BisectJournal.reopen(options.resume);
  const changed = (
    ['repo', 'kernels', 'good', 'bad', 'alsoGood', 'skip', 'paths', 'build', 'install', 'source'] as const
  ).find((key) => JSON.stringify(journal.about[key]) !== JSON.stringify(about[key]));
  const known = (['rate', 'background', 'certainty', 'maxEndAttempts'] as const).find(
    (key) => options[key] !== undefined && options[key] !== journal.about[key],
  );
  const difference = changed ?? known;
  if (difference === undefined) return journal;
  journal.close();
  const end = range.repository ? 'revision' : 'kernel';
  const names = {
    ...{ alsoGood: 'list of other good revisions', skip: 'list of skipped revisions' },
    ...{
      rate: 'rate',
      background: 'background',
      certainty: 'certainty',
      maxEndAttempts: 'limit of attempts at the ends',
    },
    ...{ repo: 'repository', kernels: 'pattern of kernels', paths: 'list of paths' },
    ...{ good: `good ${end}`, bad: `bad ${end}` },
    ...{ build: 'build command', install: 'installation command', source: 'source of the scenario' },
  };
  throw new QmpilotError('USAGE', `cannot resume ${journal.dir}: the ${names[difference]} is another one`, {
    hint: 'its attempts do not count for it: start another bisection',
  });
}

function describe(options: BisectOptions, range: Range, kernels: Kernels | undefined): About {
  const { certainty, maxEndAttempts } = checkOptions(options);
  return {
    v: 1,
    id: randomUUID(),
    startedAt: wallTime(),
    ...(options.kernels === undefined && { repo: resolve(options.repo), build: options.build }),
    ...(kernels !== undefined && { kernels }),
    good: range.good,
    bad: range.bad,
    ...(range.alsoGood.length > 0 && { alsoGood: [...range.alsoGood] }),
    ...(range.skip.length > 0 && { skip: [...range.skip] }),
    paths: options.kernels === undefined ? [...(options.paths ?? [])] : [],
    certainty,
    maxEndAttempts,
    ...(options.kernels === undefined && options.install !== undefined && { install: options.install }),
    ...(options.rate !== undefined && { rate: options.rate }),
    ...(options.background !== undefined && { background: options.background }),
    ...(options.signature !== undefined && { signature: options.signature }),
    ...(options.source !== undefined && { source: options.source }),
  };
}
