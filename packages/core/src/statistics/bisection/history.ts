import { QmpilotError } from '../../errors.js';

/** A commit and its parents, by id. A parent that is not in the list is outside of the range. */
export interface HistoryCommit {
  readonly id: string;
  readonly parents: readonly string[];
}

/**
 * The commits of a range `good..bad` as a graph: each one may have introduced the failure. A commit shows the failure when the
 * culprit is the commit itself or one of its ancestors.
 *
 * Holds the ancestors of each commit as a bit set: 32 MB for 16 000 commits.
 */
export class History {
  /** The commits, parents before children. */
  readonly commits: readonly HistoryCommit[];
  readonly #indices: ReadonlyMap<string, number>;
  readonly #parents: readonly (readonly number[])[];
  readonly #ancestors: readonly Uint32Array[];
  readonly #words: number;

  /**
   * Takes the commits of the range in any order.
   * @throws {USAGE} for an empty range, a commit that is listed twice, or a cycle
   */
  constructor(commits: readonly HistoryCommit[]) {
    if (commits.length === 0) throw new QmpilotError('USAGE', 'the history holds no commits');
    this.commits = sortTopologically(commits);
    this.#indices = new Map(this.commits.map(({ id }, index) => [id, index]));
    this.#parents = this.commits.map(({ parents }) =>
      parents.flatMap((id) => {
        const index = this.#indices.get(id);
        return index === undefined ? [] : [index];
      }),
    );
    this.#words = Math.ceil(this.commits.length / 32);
    this.#ancestors = this.#closeOverParents();
  }

  get size(): number {
    return this.commits.length;
  }

  /** Returns the position of a commit in `commits`, or undefined when it is outside of the range. */
  indexOf(id: string): number | undefined {
    return this.#indices.get(id);
  }

  /** Returns the positions of a commit's parents that are within the range. */
  parentsOf(index: number): readonly number[] {
    return this.#parents[index] ?? [];
  }

  /** Tells whether `ancestor` is `index` itself or one of its ancestors. */
  includes(index: number, ancestor: number): boolean {
    const word = this.#ancestors[index]?.[ancestor >>> 5] ?? 0;
    return (word & (1 << (ancestor & 31))) !== 0;
  }

  /** Returns how many commits of a set (a bit for each position) are `index` itself or one of its ancestors. */
  countIncluded(index: number, set: Uint32Array): number {
    const ancestors = this.#ancestors[index];
    let count = 0;
    for (let word = 0; word < set.length; word += 1) {
      const bits = (set[word] ?? 0) & (ancestors?.[word] ?? 0);
      if (bits !== 0) count += countBits(bits);
    }
    return count;
  }

  /** Returns for each commit the sum of the weights of the commit and its ancestors. */
  accumulate(weights: Float64Array): Float64Array {
    const sums = new Float64Array(this.size);
    for (let index = 0; index < this.size; index += 1) {
      const [first, ...others] = this.#parents[index] ?? [];
      let sum = (weights[index] ?? 0) + (first === undefined ? 0 : (sums[first] ?? 0));
      const seen = others.length === 0 || first === undefined ? undefined : this.#ancestors[first]?.slice();
      for (const other of others) {
        const more = this.#ancestors[other];
        if (more === undefined || seen === undefined) continue;
        for (let word = 0; word < this.#words; word += 1) {
          let bits = (more[word] ?? 0) & ~(seen[word] ?? 0);
          while (bits !== 0) {
            const bit = 31 - Math.clz32(bits & -bits);
            sum += weights[word * 32 + bit] ?? 0;
            bits &= bits - 1;
          }
          seen[word] = (seen[word] ?? 0) | (more[word] ?? 0);
        }
      }
      sums[index] = sum;
    }
    return sums;
  }

  #closeOverParents(): Uint32Array[] {
    const sets: Uint32Array[] = [];
    for (let index = 0; index < this.size; index += 1) {
      const set = new Uint32Array(this.#words);
      for (const parent of this.#parents[index] ?? []) {
        const theirs = sets[parent];
        for (let word = 0; word < this.#words; word += 1) set[word] = (set[word] ?? 0) | (theirs?.[word] ?? 0);
      }
      set[index >>> 5] = (set[index >>> 5] ?? 0) | (1 << (index & 31));
      sets.push(set);
    }
    return sets;
  }
}

function countBits(word: number): number {
  const pairs = word - ((word >>> 1) & 0x5555_5555);
  const nibbles = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

/** Orders commits so that parents come before their children (Kahn's algorithm); keeps the given order where it is free. */
function sortTopologically(commits: readonly HistoryCommit[]): HistoryCommit[] {
  const byId = new Map<string, HistoryCommit>();
  for (const commit of commits) {
    if (byId.has(commit.id)) throw new QmpilotError('USAGE', `commit ${commit.id} is listed twice in the history`);
    byId.set(commit.id, commit);
  }
  const missing = new Map<string, number>();
  const children = new Map<string, string[]>();
  for (const { id, parents } of commits) {
    const inside = [...new Set(parents)].filter((parent) => byId.has(parent));
    missing.set(id, inside.length);
    for (const parent of inside) children.set(parent, [...(children.get(parent) ?? []), id]);
  }
  const sorted: HistoryCommit[] = [];
  const ready = commits.filter(({ id }) => missing.get(id) === 0);
  for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
    sorted.push(next);
    for (const child of children.get(next.id) ?? []) {
      const left = (missing.get(child) ?? 0) - 1;
      missing.set(child, left);
      const commit = byId.get(child);
      if (left === 0 && commit) ready.push(commit);
    }
  }
  if (sorted.length < commits.length) throw new QmpilotError('USAGE', 'the history contains a cycle');
  return sorted;
}
