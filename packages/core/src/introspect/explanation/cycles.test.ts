import { expect, it } from 'vitest';
import { findCycles } from './cycles.js';

it('finds each cycle once, and begins with its member of the lowest rank', () => {
  const graph = new Map([
    [5n, [3n]],
    [3n, [4n]],
    [4n, [5n]],
    [9n, [9n]],
    [1n, [5n]],
    [7n, [8n]],
    [8n, []],
  ]);
  expect(findCycles(graph, Number)).toEqual([[3n, 4n, 5n], [9n]]);
});
