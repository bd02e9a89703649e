import { QmpilotError } from '../../errors.js';
import { parseShard, type Shard } from '../../run-files/run-file.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** A CI system or scheduler that numbers the jobs of one run by environment variables. */
interface ShardSource {
  readonly name: string;
  /** Variable that is set in each job of such a run, and nowhere else. */
  readonly index: string;
  readonly read: (environment: Environment) => Numbering;
}

interface Numbering {
  /** Index of the first job, and the difference between the indices of two neighbours. */
  readonly first: number;
  readonly step?: number;
  /** Number of jobs; undefined when the system does not tell. */
  readonly count: number | undefined;
}

const HINT = 'name the shard yourself: --shard 2/5';

/** By the documentation of each: the names, and whether the index begins with 0 or 1. */
const SOURCES: readonly ShardSource[] = [
  counted('GitLab CI', 'CI_NODE_INDEX', 1, 'CI_NODE_TOTAL'),
  counted('Buildkite', 'BUILDKITE_PARALLEL_JOB', 0, 'BUILDKITE_PARALLEL_JOB_COUNT'),
  counted('CircleCI', 'CIRCLE_NODE_INDEX', 0, 'CIRCLE_NODE_TOTAL'),
  // GitHub sets no variable; these are for strategy.job-index and strategy.job-total of a workflow.
  counted('GitHub Actions', 'QMPILOT_JOB_INDEX', 0, 'QMPILOT_JOB_TOTAL'),
  { name: 'a Slurm array', index: 'SLURM_ARRAY_TASK_ID', read: slurmNumbering },
  { name: 'a Kubernetes Indexed Job', index: 'JOB_COMPLETION_INDEX', read: () => ({ first: 0, count: undefined }) },
];

function counted(name: string, index: string, first: number, total: string): ShardSource {
  return { name, index, read: (environment) => ({ first, count: numberOf(environment, total) }) };
}

/** https://slurm.schedmd.com/job_array.html: the size of the array, when its indices are evenly spaced. */
function slurmNumbering(environment: Environment): Numbering {
  const optional = (name: string) => (environment[name] ? numberOf(environment, name) : undefined);
  const [first, last] = [numberOf(environment, 'SLURM_ARRAY_TASK_MIN'), numberOf(environment, 'SLURM_ARRAY_TASK_MAX')];
  const step = optional('SLURM_ARRAY_TASK_STEP') || 1;
  const span = Math.floor((last - first) / step) + 1;
  const count = optional('SLURM_ARRAY_TASK_COUNT') ?? span;
  if (count === span) return { first, step, count };
  throw unknown(`the Slurm array has ${count} tasks, whose indices have gaps`, 'use an array such as --array=1-5');
}

/**
 * Reads which shard this job is from the variables that its CI system or scheduler sets: GitLab CI, Buildkite, CircleCI, Slurm arrays,
 * Kubernetes Indexed Jobs, and `QMPILOT_JOB_INDEX` (from 0) with `QMPILOT_JOB_TOTAL` for a matrix of GitHub Actions.
 * @param environment such as `process.env`
 * @param shards the number of shards, for systems that do not tell it
 * @throws {USAGE} when there are no such variables, or they are invalid, or two systems disagree
 */
export function shardFromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  shards?: number,
): Shard {
  const found = SOURCES.filter(({ index }) => (environment[index] ?? '') !== '').map((source) => ({
    name: `${source.name} (${source.index})`,
    shard: shardOf(source, environment, shards),
  }));
  const [first, ...others] = found;
  if (!first)
    throw unknown(
      'the environment does not say which shard this is',
      `looked for ${SOURCES.map(({ index }) => index).join(', ')}; elsewhere name the shard: --shard 2/5`,
    );
  const other = others.find(({ shard }) => shard.index !== first.shard.index || shard.count !== first.shard.count);
  if (!other) return first.shard;
  const describe = ({ name, shard }: typeof first) => `${name} says ${shard.index}/${shard.count}`;
  throw unknown(`${describe(first)}, ${describe(other)}`, HINT);
}

function shardOf(source: ShardSource, environment: Environment, shards: number | undefined): Shard {
  const { name } = source;
  const id = numberOf(environment, source.index);
  const { first, step = 1, count: told } = source.read(environment);
  if (told !== undefined && shards !== undefined && told !== shards)
    throw unknown(
      `--shards is ${shards}, and ${name} has ${told} jobs`,
      `give ${name} ${shards} jobs, or leave out --shards`,
    );
  const count = told ?? shards;
  if (count === undefined)
    throw unknown(
      `${name} does not provide its number of jobs`,
      'add --shards N, with the value of completions of the Job',
    );
  const index = (id - first) / step + 1;
  if (Number.isInteger(index) && index >= 1 && index <= count) return parseShard(`${index}/${count}`);
  throw unknown(`${name} has ${count} jobs, and ${source.index} is ${id}, which is none of them`, HINT);
}

function numberOf(environment: Environment, name: string): number {
  const text = environment[name] ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw unknown(`${name} is ${text === '' ? 'not set' : `${JSON.stringify(text)}, not a number`}`, HINT);
}

function unknown(why: string, hint: string): QmpilotError {
  return new QmpilotError('USAGE', `cannot take the shard from the environment: ${why}`, { hint });
}
