import { QmpilotError } from '@qmpilot/core';
import { parseShard, type Shard } from '@qmpilot/core/report';

type Environment = Readonly<Record<string, string | undefined>>;

/** A CI system or scheduler that numbers the jobs of one run by environment variables. */
interface ShardSource {
  readonly name: string;
  /** Variable that is set in each job of such a run, and nowhere else. */
  readonly index: string;
  /** Index of the first job. */
  readonly first: (environment: Environment) => number;
  /** Number of jobs; undefined when the system does not tell. */
  readonly count: (environment: Environment) => number | undefined;
}

const numberOf = (environment: Environment, name: string): number => {
  const text = environment[name] ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new QmpilotError('USAGE', `--shard auto: ${name} is ${text === '' ? 'not set' : JSON.stringify(text)}`, {
    hint: 'name the shard yourself: --shard 2/5',
  });
};

/** By the documentation of each: the names, and whether the index begins with 0 or 1. */
const SOURCES: readonly ShardSource[] = [
  { name: 'GitLab CI', index: 'CI_NODE_INDEX', first: () => 1, count: (env) => numberOf(env, 'CI_NODE_TOTAL') },
  {
    name: 'Buildkite',
    index: 'BUILDKITE_PARALLEL_JOB',
    first: () => 0,
    count: (env) => numberOf(env, 'BUILDKITE_PARALLEL_JOB_COUNT'),
  },
  { name: 'CircleCI', index: 'CIRCLE_NODE_INDEX', first: () => 0, count: (env) => numberOf(env, 'CIRCLE_NODE_TOTAL') },
  {
    name: 'a Slurm array',
    index: 'SLURM_ARRAY_TASK_ID',
    first: (env) => numberOf(env, 'SLURM_ARRAY_TASK_MIN'),
    count: slurmCount,
  },
  { name: 'a Kubernetes Indexed Job', index: 'JOB_COMPLETION_INDEX', first: () => 0, count: () => undefined },
];

/** The array's size, when its indices have no gaps. */
function slurmCount(environment: Environment): number {
  const span = numberOf(environment, 'SLURM_ARRAY_TASK_MAX') - numberOf(environment, 'SLURM_ARRAY_TASK_MIN') + 1;
  const count =
    environment['SLURM_ARRAY_TASK_COUNT'] === undefined ? span : numberOf(environment, 'SLURM_ARRAY_TASK_COUNT');
  if (count === span) return count;
  throw new QmpilotError('USAGE', `--shard auto: the Slurm array has ${count} tasks, whose indices have gaps`, {
    hint: 'use an array without gaps, such as --array=1-5',
  });
}

/**
 * Reads which shard this job is from the variables that its CI system or scheduler sets.
 * @param shards the number of shards, for systems that do not tell it
 * @throws {USAGE} when there are no such variables, or they are invalid, or two systems disagree
 */
export function shardFromEnvironment(environment: Environment, shards?: number): Shard {
  const found = SOURCES.filter(({ index }) => (environment[index] ?? '') !== '').map((source) => ({
    name: source.name,
    shard: shardOf(source, environment, shards),
  }));
  const [first, ...others] = found;
  if (!first)
    throw new QmpilotError('USAGE', '--shard auto: the environment does not say which shard this is', {
      hint: `looked for ${SOURCES.map(({ index }) => index).join(', ')}; elsewhere name the shard: --shard 2/5`,
    });
  const other = others.find(({ shard }) => shard.index !== first.shard.index || shard.count !== first.shard.count);
  if (!other) return first.shard;
  const describe = ({ name, shard }: typeof first) => `${name} says ${shard.index}/${shard.count}`;
  throw new QmpilotError('USAGE', `--shard auto: ${describe(first)}, ${describe(other)}`, {
    hint: 'name the shard yourself: --shard 2/5',
  });
}

function shardOf(source: ShardSource, environment: Environment, shards: number | undefined): Shard {
  const told = source.count(environment);
  if (told !== undefined && shards !== undefined && told !== shards)
    throw new QmpilotError('USAGE', `--shards is ${shards}, and ${source.name} has ${told} jobs`, {
      hint: 'leave out --shards: the number of jobs is known there',
    });
  const count = told ?? shards;
  if (count === undefined)
    throw new QmpilotError('USAGE', `--shard auto: ${source.name} does not provide its number of jobs`, {
      hint: 'add --shards N, with the value of completions of the Job',
    });
  const index = numberOf(environment, source.index) - source.first(environment) + 1;
  if (index >= 1 && index <= count) return parseShard(`${index}/${count}`);
  throw new QmpilotError('USAGE', `--shard auto: ${source.name} has ${count} jobs, and this is number ${index}`, {
    hint: 'name the shard yourself: --shard 2/5',
  });
}
