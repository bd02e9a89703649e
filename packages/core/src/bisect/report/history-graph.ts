import type { HistoryCommit } from '../../statistics/bisection/history.js';

/** A commit in a drawing of the history: a dot in a lane, with lines to the rows above and below. */
export interface GraphRow {
  readonly id: string;
  readonly lane: number;
  /** Lanes of lines that come from above and end at the dot. */
  readonly into: readonly number[];
  /** Lanes of lines that begin at the dot and lead to its parents. */
  readonly out: readonly number[];
  /** Lanes of lines that pass by. */
  readonly past: readonly number[];
}

/** Orders commits so that each one comes before its parents, and the commits of a branch are next to each other, as by `git log --graph`. */
export function graphOrder(commits: readonly HistoryCommit[]): HistoryCommit[] {
  const byId = new Map(commits.map((commit) => [commit.id, commit]));
  const parents = new Set(commits.flatMap((commit) => commit.parents));
  const oldestFirst: HistoryCommit[] = [];
  const seen = new Set<string>();
  const stack: { readonly commit: HistoryCommit; readonly isLeft: boolean }[] = commits
    .filter(({ id }) => !parents.has(id))
    .map((commit) => ({ commit, isLeft: false }));
  for (let top = stack.pop(); top; top = stack.pop()) {
    const { commit, isLeft } = top;
    if (isLeft) oldestFirst.push(commit);
    if (isLeft || seen.has(commit.id)) continue;
    seen.add(commit.id);
    stack.push({ commit, isLeft: true });
    for (const id of commit.parents.toReversed()) {
      const parent = byId.get(id);
      if (parent && !seen.has(id)) stack.push({ commit: parent, isLeft: false });
    }
  }
  return oldestFirst.toReversed();
}

/**
 * Leaves out commits: a shown one gets as parents the nearest shown ones among its ancestors. All that is outside of the range
 * becomes `good`, which is added as the last commit.
 * @param ordered in the order of `graphOrder`
 */
export function simplifyHistory(
  ordered: readonly HistoryCommit[],
  shown: ReadonlySet<string>,
  good: string,
): HistoryCommit[] {
  const inside = new Set(ordered.map(({ id }) => id));
  /** Of each commit, the shown ones that stand for it. */
  const nearest = new Map<string, readonly string[]>();
  /** Of each shown commit, all shown ones below it. */
  const below = new Map<string, ReadonlySet<string>>();
  const simplified: HistoryCommit[] = [];
  for (const { id, parents } of ordered.toReversed()) {
    const all = new Set(parents.flatMap((parent) => (inside.has(parent) ? (nearest.get(parent) ?? []) : [good])));
    if (all.size > 1) all.delete(good);
    const kept = [...all].filter((one) => ![...all].some((other) => below.get(other)?.has(one) === true));
    const own = kept.length === 0 ? [good] : kept;
    if (!shown.has(id)) {
      nearest.set(id, own);
      continue;
    }
    nearest.set(id, [id]);
    below.set(id, new Set(own.flatMap((one) => [one, ...(below.get(one) ?? [])])));
    simplified.push({ id, parents: own });
  }
  return [...simplified.toReversed(), { id: good, parents: [] }];
}

/** Assigns lanes: the first parent of a commit continues its lane; where several lanes lead to one commit, they end in the first. */
export function layOutGraph(ordered: readonly HistoryCommit[]): GraphRow[] {
  /** The commit that each lane leads to. */
  const lanes: (string | undefined)[] = [];
  const freeLane = () => {
    const free = lanes.indexOf(undefined);
    return free === -1 ? lanes.length : free;
  };
  return ordered.map(({ id, parents }) => {
    const into = lanes.flatMap((to, lane) => (to === id ? [lane] : []));
    const lane = into[0] ?? freeLane();
    for (const ended of into) lanes[ended] = undefined;
    const past = lanes.flatMap((to, other) => (to === undefined ? [] : [other]));
    const out = parents.map((parent, index) => {
      const known = index === 0 ? lane : lanes.indexOf(parent);
      const own = known === -1 ? freeLane() : known;
      lanes[own] = parent;
      return own;
    });
    return { id, lane, into, out: [...new Set(out)], past };
  });
}
