import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { History, type HistoryCommit } from './history.js';

/** A random graph: each commit has up to three parents among those before it. */
const graphs = fc.array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: 1, maxLength: 70 }).map((picks) =>
  picks.map((parents, index): HistoryCommit => {
    const ids = index === 0 ? [] : [...new Set(parents.map((pick) => `c${pick % index}`))];
    return { id: `c${index}`, parents: ids };
  }),
);

function ancestorsOf(commits: readonly HistoryCommit[], id: string): Set<string> {
  const seen = new Set([id]);
  for (const one of seen)
    for (const parent of commits.find((commit) => commit.id === one)?.parents ?? []) seen.add(parent);
  return seen;
}

describe('History', () => {
  it('knows the ancestors of each commit, in whatever order the commits are given', () => {
    fc.assert(
      fc.property(graphs, fc.integer(), (commits, seed) => {
        const shuffled = commits.toSorted((one, other) => hash(one.id, seed) - hash(other.id, seed));
        const history = new History(shuffled);
        for (const { id } of commits) {
          const index = history.indexOf(id) ?? -1;
          const found = history.commits.filter((_, other) => history.includes(index, other)).map((commit) => commit.id);
          expect(new Set(found)).toEqual(ancestorsOf(commits, id));
        }
      }),
    );
  });

  it('adds up the weights of ancestors, each once', () => {
    fc.assert(
      fc.property(graphs, (commits) => {
        const history = new History(commits);
        const weights = Float64Array.from(history.commits, (_, index) => 2 ** (index % 20));
        const sums = history.accumulate(weights);
        for (const [index] of history.commits.entries()) {
          const expected = weights.reduce(
            (sum, weight, other) => (history.includes(index, other) ? sum + weight : sum),
            0,
          );
          expect(sums[index]).toBe(expected);
        }
      }),
    );
  });

  it('ignores parents outside of the range', () => {
    const history = new History([{ id: 'a', parents: ['good'] }]);
    expect(history.parentsOf(0)).toEqual([]);
    expect(history.indexOf('good')).toBeUndefined();
  });

  it.each([
    ['no commits', [], /holds no commits/],
    [
      'a commit twice',
      [
        { id: 'a', parents: [] },
        { id: 'a', parents: [] },
      ],
      /commit a is listed twice/,
    ],
    [
      'a cycle',
      [
        { id: 'a', parents: ['b'] },
        { id: 'b', parents: ['a'] },
      ],
      /contains a cycle/,
    ],
  ])('refuses %s', (_, commits, message) => {
    expect(() => new History(commits)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) }),
    );
  });
});

function hash(text: string, seed: number): number {
  return [...text].reduce((sum, char) => Math.imul(sum ^ char.charCodeAt(0), 0x5bd1e995), seed);
}
