import { describe, expect, it } from 'vitest';
import { shardFromEnvironment } from './shard-from-environment.js';

const slurm = (id: number, min: number, max: number, count = max - min + 1) => ({
  SLURM_ARRAY_TASK_ID: String(id),
  SLURM_ARRAY_TASK_MIN: String(min),
  SLURM_ARRAY_TASK_MAX: String(max),
  SLURM_ARRAY_TASK_COUNT: String(count),
});

describe('--shard auto', () => {
  it.each([
    ['GitLab', { CI_NODE_INDEX: '2', CI_NODE_TOTAL: '5' }],
    ['Buildkite', { BUILDKITE_PARALLEL_JOB: '1', BUILDKITE_PARALLEL_JOB_COUNT: '5' }],
    ['CircleCI', { CIRCLE_NODE_INDEX: '1', CIRCLE_NODE_TOTAL: '5' }],
    ['Slurm', slurm(11, 10, 14)],
    ['two that agree', { CI_NODE_INDEX: '2', CI_NODE_TOTAL: '5', ...slurm(1, 0, 4) }],
    ['variables that are empty beside it', { CI_NODE_INDEX: '2', CI_NODE_TOTAL: '5', CIRCLE_NODE_INDEX: '' }],
  ])('is the second of five by the variables of %s', (_, environment) => {
    expect(shardFromEnvironment(environment)).toEqual({ index: 2, count: 5 });
    expect(shardFromEnvironment(environment, 5)).toEqual({ index: 2, count: 5 });
  });

  it('takes the number of jobs of Kubernetes from --shards', () => {
    expect(shardFromEnvironment({ JOB_COMPLETION_INDEX: '0' }, 3)).toEqual({ index: 1, count: 3 });
  });

  it('runs all of it where there is one job', () => {
    expect(shardFromEnvironment({ CIRCLE_NODE_INDEX: '0', CIRCLE_NODE_TOTAL: '1' })).toEqual({ index: 1, count: 1 });
  });

  it.each([
    ['no variables', {}, undefined, /does not say which shard/],
    ['Kubernetes without --shards', { JOB_COMPLETION_INDEX: '0' }, undefined, /does not provide its number/],
    ['an index beyond', { JOB_COMPLETION_INDEX: '3' }, 3, /has 3 jobs, and this is number 4/],
    ['a text', { CI_NODE_INDEX: 'two', CI_NODE_TOTAL: '5' }, undefined, /CI_NODE_INDEX is "two"/],
    ['no total', { CI_NODE_INDEX: '2' }, undefined, /CI_NODE_TOTAL is not set/],
    ['gaps', slurm(3, 1, 7, 4), undefined, /4 tasks, whose indices have gaps/],
    ['another --shards', { CI_NODE_INDEX: '2', CI_NODE_TOTAL: '5' }, 4, /--shards is 4, and GitLab CI has 5 jobs/],
    [
      'two that contradict each other',
      { CI_NODE_INDEX: '2', CI_NODE_TOTAL: '5', CIRCLE_NODE_INDEX: '2', CIRCLE_NODE_TOTAL: '5' },
      undefined,
      /GitLab CI says 2\/5, CircleCI says 3\/5/,
    ],
  ])('refuses %s', (_, environment: Readonly<Record<string, string>>, shards, message) => {
    expect(() => shardFromEnvironment(environment, shards)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) }),
    );
  });
});
