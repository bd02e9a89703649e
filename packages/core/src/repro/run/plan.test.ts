import { describe, expect, it } from 'vitest';
import { record } from '../../run-files/run.fixture.js';
import { pendingIndices } from './plan.js';

describe('what is left to do', () => {
  it('is what has no line, in order', () => {
    expect(pendingIndices({ attempts: 5 }, [record(4), record(2)])).toEqual([1, 3, 5]);
  });

  it.each([1, 2, 3, 7])('is split into %i shards without gap and without overlap', (count) => {
    const parts = Array.from({ length: count }, (_, index) =>
      pendingIndices({ attempts: 20, shard: { index: index + 1, count } }, []),
    );
    expect(parts.flat().toSorted((one, other) => one - other)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
    expect(pendingIndices({ attempts: 20, shard: { index: count, count } }, [])[0]).toBe(count);
  });
});
