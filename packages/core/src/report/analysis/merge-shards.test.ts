import { describe, expect, it } from 'vitest';
import { mergeShards } from './merge-shards.js';
import { attempt, evidence, runOf } from './run.fixture.js';

const shard = (index: number, indices: readonly number[], more: object = {}) =>
  runOf('', {
    label: `part${index}`,
    run: {
      name: 's',
      seed: 1,
      attempts: 6,
      shard: { index, count: 3 },
      source: { file: 'f', sha256: 'h' },
      environment: [],
      commandLine: [],
      sessions: [],
      ...more,
    },
    attempts: indices.map((one) => attempt(one, 'c')),
    evidence: new Map(indices.map((one) => [one, evidence(`part ${index}`)])),
    folder: (one) => `part${index}/${one}/`,
  });

describe('mergeShards', () => {
  it('puts the shards of one run together, whatever their order, and says which are missing', () => {
    const [run, ...others] = mergeShards([shard(3, [3, 6]), shard(1, [1, 4])]);
    expect(others).toEqual([]);
    expect(run?.attempts.map(({ index }) => index)).toEqual([1, 3, 4, 6]);
    expect(run?.folder(6)).toBe('part3/6/');
    expect([...(run?.evidence.keys() ?? [])].toSorted((one, other) => one - other)).toEqual([1, 3, 4, 6]);
    expect(run?.shards).toMatchObject([{ index: 1 }, { index: 3 }]);
    expect(run?.notes).toEqual(['Shards that are not here: 2 of 3.']);
  });

  it('counts an attempt that two folders have once, and says so', () => {
    const [run] = mergeShards([shard(1, [1, 4]), shard(2, [2, 4]), shard(3, [3])]);
    expect(run?.attempts.map(({ index }) => index)).toEqual([1, 2, 3, 4]);
    expect(run?.folder(4)).toBe('part1/4/');
    expect(run?.notes).toEqual([expect.stringContaining('1 attempts were in more than one')]);
  });

  it('keeps apart what is not one run: another seed, another scenario, no shards at all', () => {
    expect(
      mergeShards([
        shard(1, [1]),
        shard(2, [2], { seed: 2 }),
        shard(2, [2], { source: { file: 'f', sha256: 'x' } }),
        runOf('c'),
        runOf('c'),
      ]),
    ).toHaveLength(5);
  });
});
