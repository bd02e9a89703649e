import { describe, expect, it } from 'vitest';
import type { HistoryCommit } from '../../statistics/bisection/history.js';
import { graphOrder, layOutGraph, simplifyHistory } from './history-graph.js';

const history = (text: string): HistoryCommit[] =>
  text
    .trim()
    .split(/\s*;\s*/)
    .map((line) => line.split(' '))
    .map(([id = '', ...parents]) => ({ id, parents }));
const told = (commits: readonly HistoryCommit[]) =>
  commits.map(({ id, parents }) => [id, ...parents].join(' ')).join('; ');

/** A side branch of x and y, merged by m. */
const MERGED = 'a good; x a; b a; y x; c b; m c y; d m';

describe('the drawing of a history', () => {
  it('has children before parents, and the commits of a branch next to each other', () => {
    expect(graphOrder(history(MERGED)).map(({ id }) => id)).toEqual(['d', 'm', 'y', 'x', 'c', 'b', 'a']);
  });

  it('gives a merged branch a lane of its own, which ends where it began', () => {
    const rows = layOutGraph(simplifyHistory(graphOrder(history(MERGED)), new Set('abcdmxy'), 'good'));
    expect(rows).toEqual([
      { id: 'd', lane: 0, into: [], out: [0], past: [] },
      { id: 'm', lane: 0, into: [0], out: [0, 1], past: [] },
      { id: 'y', lane: 1, into: [1], out: [1], past: [0] },
      { id: 'x', lane: 1, into: [1], out: [1], past: [0] },
      { id: 'c', lane: 0, into: [0], out: [0], past: [1] },
      { id: 'b', lane: 0, into: [0], out: [0], past: [1] },
      { id: 'a', lane: 0, into: [0, 1], out: [0], past: [] },
      { id: 'good', lane: 0, into: [0], out: [], past: [] },
    ]);
  });

  it('leaves out commits, and keeps what is an ancestor of what', () => {
    const simplified = (shown: string) => told(simplifyHistory(graphOrder(history(MERGED)), new Set(shown), 'good'));
    expect(simplified('dxb')).toBe('d b x; x good; b good; good');
    expect(simplified('da')).toBe('d a; a good; good');
    // The branch is left out: its end is an ancestor of the main line.
    expect(simplified('mca')).toBe('m c; c a; a good; good');
    expect(simplified('')).toBe('good');
  });

  it('keeps a line to the good end only where nothing else is below', () => {
    expect(told(simplifyHistory(graphOrder(history('a good; s older; m a s')), new Set('ams'), 'good'))).toBe(
      'm a s; s good; a good; good',
    );
  });
});
