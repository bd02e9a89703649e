import { resolve } from 'node:path';
import { QmpilotError } from '../../errors.js';
import type { HistoryCommit } from '../../statistics/bisection/history.js';
import type { BisectRepositoryOptions } from '../options.js';
import { Repository } from './git.js';

/** The commits, or the kernels, that are bisected. */
export interface Range {
  /** Missing for kernels. */
  readonly repository?: Repository;
  /** One line for people about each of these commits, by its id. */
  readonly subjects: (commits: readonly string[]) => Promise<ReadonlyMap<string, string>>;
  readonly good: string;
  /** The commit that is built for the bad end: with `paths`, the last one that changes them. */
  readonly bad: string;
  /** Other commits that are known not to have the failure. */
  readonly alsoGood: readonly string[];
  /** The commits of `good..bad`, without those that another good commit contains. */
  readonly commits: readonly HistoryCommit[];
  /** Those of them that cannot be tried. */
  readonly skip: readonly string[];
}

/** @throws {USAGE} when there is nothing to bisect between the two revisions */
export async function openRange(
  options: Pick<BisectRepositoryOptions, 'repo' | 'good' | 'bad' | 'alsoGood' | 'skip' | 'paths' | 'signal'>,
): Promise<Range & { readonly repository: Repository }> {
  const { paths = [] } = options;
  const repository = await Repository.open(resolve(options.repo), options.signal);
  const good = await repository.commit(options.good);
  const bad = await repository.commit(options.bad);
  const named = `${options.good}..${options.bad}`;
  if (good === bad)
    throw new QmpilotError('USAGE', `good and bad are the same commit, ${good.slice(0, 12)}`, {
      hint: 'name a good revision that is an ancestor of the bad one',
    });
  if (!(await repository.isAncestor(good, bad))) throw await notAnAncestor(repository, options, good, bad);
  const alsoGood = await Promise.all((options.alsoGood ?? []).map((revision) => repository.commit(revision)));
  for (const [index, commit] of alsoGood.entries())
    if (await repository.isAncestor(bad, commit))
      throw new QmpilotError('USAGE', `${options.alsoGood?.[index]} is marked as good, and contains ${options.bad}`);
  const skipped = await Promise.all((options.skip ?? []).map((revision) => repository.commit(revision)));
  const commits = await repository.history([good, ...alsoGood], bad, paths);
  if (commits.length === 0)
    throw new QmpilotError('USAGE', `no commit of ${named} changes ${paths.join(', ')}`, {
      hint: `compare with git log ${named} -- ${paths.join(' ')}`,
    });
  const known = new Set(commits.flatMap(({ parents }) => parents));
  const tips = commits.filter(({ id }) => !known.has(id)).map(({ id }) => id);
  const [tip] = tips;
  const isOneTip = tips.length === 1 && tip !== undefined;
  const all = isOneTip ? commits : [...commits, { id: bad, parents: tips }];
  const end = isOneTip ? tip : bad;
  const skip = [...new Set(skipped)].filter((commit) => commit !== end && all.some(({ id }) => id === commit));
  const subjects = (ids: readonly string[]) => repository.subjects(ids);
  return { repository, subjects, good, bad: end, alsoGood, commits: all, skip };
}

async function notAnAncestor(
  repository: Repository,
  options: Pick<BisectRepositoryOptions, 'good' | 'bad'>,
  good: string,
  bad: string,
): Promise<QmpilotError> {
  if (await repository.isAncestor(bad, good))
    return new QmpilotError('USAGE', `good and bad are swapped: ${options.bad} is an ancestor of ${options.good}`, {
      hint: 'to find the commit that fixed a failure, let the scenario report the attempts without it',
    });
  const base = await repository.mergeBase(good, bad);
  return new QmpilotError('USAGE', `${options.good} is not an ancestor of ${options.bad}`, {
    hint:
      base === undefined
        ? 'the two have no common history'
        : `bisect from the last commit they have in common: ${base.slice(0, 12)}`,
  });
}
