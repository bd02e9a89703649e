import { describe, expect, it } from 'vitest';
import { shardFromEnvironment } from './shard-from-environment.js';

const slurm = (
  id: number,
  min: number,
  max: number,
  more: { readonly step?: number; readonly count?: number } = {},
) => ({
  SLURM_ARRAY_TASK_ID: String(id),
  SLURM_ARRAY_TASK_MIN: String(min),
  SLURM_ARRAY_TASK_MAX: String(max),
  SLURM_ARRAY_TASK_STEP: String(more.step ?? 1),
  SLURM_ARRAY_TASK_COUNT: String(more.count ?? (max - min) / (more.step ?? 1) + 1),
});
const GITLAB = { CI_NODE_INDEX: '2', CI_NODE_TOTAL: '5' };

describe('the shard of a job, by its environment', () => {
  it.each([
    ['GitLab', GITLAB],
    ['Buildkite', { BUILDKITE_PARALLEL_JOB: '1', BUILDKITE_PARALLEL_JOB_COUNT: '5' }],
    ['CircleCI', { CIRCLE_NODE_INDEX: '1', CIRCLE_NODE_TOTAL: '5' }],
    ['GitHub Actions, which the workflow sets', { QMPILOT_JOB_INDEX: '1', QMPILOT_JOB_TOTAL: '5' }],
    ['a Slurm array', slurm(11, 10, 14)],
    ['a Slurm array with a step', slurm(12, 10, 18, { step: 2 })],
    [
      'a Slurm array without count and step',
      { ...slurm(1, 0, 4), SLURM_ARRAY_TASK_COUNT: '', SLURM_ARRAY_TASK_STEP: '' },
    ],
    ['two systems that agree', { ...GITLAB, ...slurm(1, 0, 4) }],
    ['one system beside empty variables of another', { ...GITLAB, CIRCLE_NODE_INDEX: '' }],
  ])('is the second of five by the variables of %s', (_, environment) => {
    expect(shardFromEnvironment(environment)).toEqual({ index: 2, count: 5 });
    expect(shardFromEnvironment(environment, 5)).toEqual({ index: 2, count: 5 });
  });

  it('has the number of shards from the caller in a Kubernetes Indexed Job', () => {
    expect(shardFromEnvironment({ JOB_COMPLETION_INDEX: '0' }, 3)).toEqual({ index: 1, count: 3 });
  });

  it('is the whole run where there is one job', () => {
    expect(shardFromEnvironment({ CIRCLE_NODE_INDEX: '0', CIRCLE_NODE_TOTAL: '1' })).toEqual({ index: 1, count: 1 });
  });

  it.each([
    ['no variables', {}, undefined, /does not say which shard/],
    [
      'a Kubernetes Job without a number of shards',
      { JOB_COMPLETION_INDEX: '0' },
      undefined,
      /does not provide its number/,
    ],
    [
      'an index beyond the number of shards',
      { JOB_COMPLETION_INDEX: '3' },
      3,
      /has 3 jobs, and JOB_COMPLETION_INDEX is 3/,
    ],
    [
      'an index of 0 where indices begin with 1',
      { ...GITLAB, CI_NODE_INDEX: '0' },
      undefined,
      /CI_NODE_INDEX is 0, which/,
    ],
    [
      'a negative index',
      { QMPILOT_JOB_INDEX: '-1', QMPILOT_JOB_TOTAL: '5' },
      undefined,
      /QMPILOT_JOB_INDEX is "-1", not a/,
    ],
    ['an index that is a text', { ...GITLAB, CI_NODE_INDEX: 'two' }, undefined, /CI_NODE_INDEX is "two", not a number/],
    ['a total of 0', { ...GITLAB, CI_NODE_TOTAL: '0' }, undefined, /has 0 jobs, and CI_NODE_INDEX is 2/],
    ['no total', { CI_NODE_INDEX: '2' }, undefined, /CI_NODE_TOTAL is not set/],
    ['a Slurm array with gaps', slurm(3, 1, 7, { count: 3 }), undefined, /3 tasks, whose indices have gaps/],
    [
      'an index between the steps of a Slurm array',
      slurm(4, 1, 9, { step: 2 }),
      undefined,
      /SLURM_ARRAY_TASK_ID is 4, which/,
    ],
    ['another number of shards', GITLAB, 4, /--shards is 4, and GitLab CI has 5 jobs/],
    [
      'two systems that contradict each other',
      { ...GITLAB, CIRCLE_NODE_INDEX: '2', CIRCLE_NODE_TOTAL: '5' },
      undefined,
      /GitLab CI \(CI_NODE_INDEX\) says 2\/5, CircleCI \(CIRCLE_NODE_INDEX\) says 3\/5/,
    ],
  ])('is refused with %s', (_, environment: Readonly<Record<string, string>>, shards, message) => {
    expect(() => shardFromEnvironment(environment, shards)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) }),
    );
  });

  it('names in its error every variable that was looked for', () => {
    expect(() => shardFromEnvironment({})).toThrow(
      expect.objectContaining({
        hint: expect.stringContaining(
          'CI_NODE_INDEX, BUILDKITE_PARALLEL_JOB, CIRCLE_NODE_INDEX, QMPILOT_JOB_INDEX, SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX',
        ),
      }),
    );
  });
});
