import { QmpilotError } from '../../errors.js';
import type { RunInput } from '../../report/analysis/input.js';
import { toJUnit } from '../../report/junit.js';
import { readRunFile } from '../../run-files/journal.js';
import type { RunFile } from '../../run-files/run-file.js';
import { readRuns } from './read-run.js';

/**
 * Returns one run, its shards merged, as JUnit XML; also a run that is in progress or was cut off.
 * @throws {USAGE} when the folders are not run directories, or belong to several runs
 */
export async function reportJUnit(dirs: readonly string[]): Promise<string> {
  const [input, ...others] = await readRuns(dirs, { evidence: false });
  if (input === undefined || others.length > 0) {
    throw new QmpilotError('USAGE', 'a JUnit report covers one run, or its shards', {
      hint: 'name the folders of one run',
    });
  }
  const { shard, ...run } = await readRunFile(input.dir).catch(() => minimalRunFile(input));
  return toJUnit(input.shards !== undefined || shard === undefined ? run : { ...run, shard }, input.attempts);
}

/** Stands in for a run.json that is damaged, or of another version. */
function minimalRunFile({ run, attempts }: RunInput): RunFile {
  const { name, startedAt = attempts[0]?.startedAt ?? '', seed = 0, timeoutMs = 0 } = run;
  return {
    v: 1,
    name,
    startedAt,
    seed,
    attempts: run.attempts ?? attempts.length,
    timeoutMs,
    sessions: [],
    ...(run.source && { source: run.source }),
  };
}
