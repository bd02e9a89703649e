import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { QmpilotError } from '../../errors.js';
import type { AttemptRecord, KeptCheckpoints } from '../../run-files/attempt-record.js';
import { salvageAttempts } from '../../run-files/attempts-file.js';
import { attemptFolder, CHECKPOINTS_FOLDER, checkpointFolder } from '../../run-files/checkpoint-paths.js';
import { readRunFile } from '../../run-files/journal.js';
import type { RunFile } from '../../run-files/run-file.js';
import type { Count } from '../../statistics/count.js';
import type { Scenario } from '../scenario.js';

/** A failing attempt, and what is known of it. */
export interface WhenInput {
  readonly dir: string;
  readonly run: RunFile;
  readonly record: AttemptRecord;
  readonly checkpoints: KeptCheckpoints;
  /** The attempts of the run. */
  readonly start: Count;
  /** The folder of the attempt. */
  readonly folder: string;
  readonly failure: { readonly title: string; readonly signature: string; readonly at: number };
  /** The folder of a checkpoint. */
  readonly pathOf: (number: number) => string;
}

/**
 * Reads a run and one of its attempts; without a number, the first one that has checkpoints.
 * @throws {USAGE} when the run or the attempt has none, or the attempt did not fail
 */
export async function readWhenInput(run: string, attempt: number | undefined): Promise<WhenInput> {
  const dir = resolve(run);
  const about = await readRunFile(dir);
  const { attempts } = salvageAttempts(await readFile(join(dir, 'attempts.jsonl'), 'utf8').catch(() => ''));
  const record = choose(dir, about, attempts, attempt);
  const { checkpoints } = record;
  const [first] = record.findings.filter(({ severity }) => severity === 'error').toSorted((a, b) => a.at - b.at);
  if (!checkpoints || checkpoints.list.length === 0 || !first) throw new TypeError('unreachable');
  const folder = join(dir, attemptFolder(record.index));
  return {
    dir,
    run: about,
    record,
    checkpoints: { ...checkpoints, list: checkpoints.list.toSorted((one, other) => one.at - other.at) },
    start: {
      failures: attempts.filter(({ outcome }) => outcome === 'reproduced').length,
      attempts: attempts.filter(({ outcome }) => outcome !== 'inconclusive').length,
    },
    folder,
    pathOf: (number) => join(folder, CHECKPOINTS_FOLDER, checkpointFolder(number)),
    failure: { title: first.title, signature: first.signature, at: record.timeToFailureMs ?? first.at },
  };
}

function choose(
  dir: string,
  { checkpoints: settings }: RunFile,
  attempts: readonly AttemptRecord[],
  wanted: number | undefined,
): AttemptRecord {
  const usable = attempts.filter(
    ({ checkpoints, findings }) =>
      (checkpoints?.list.length ?? 0) > 0 && findings.some(({ severity }) => severity === 'error'),
  );
  const refuse = (message: string, hint: string) => new QmpilotError('USAGE', message, { hint });
  const those = usable.map(({ index }) => index).join(', ');
  const [first] = usable;
  if (wanted === undefined) {
    if (first) return first;
    if (settings === undefined)
      throw refuse(
        `the run in ${dir} was made without checkpoints`,
        'make one with qmpilot repro FILE --checkpoints 2s',
      );
    throw refuse(
      `no attempt of the run in ${dir} has checkpoints`,
      attempts.some(({ outcome }) => outcome === 'reproduced')
        ? 'its failures came before the first checkpoint, or events.jsonl of the attempt says why there is none'
        : 'only a failing attempt keeps them: continue with qmpilot repro --resume',
    );
  }
  const found = attempts.find(({ index }) => index === wanted);
  if (!found)
    throw refuse(`attempt ${wanted} of ${dir} not found`, `finished attempts with checkpoints: ${those || 'none'}`);
  if (found.outcome !== 'reproduced')
    throw refuse(`attempt ${wanted} of ${dir} did not fail: it is ${found.outcome}`, `choose among ${those || 'none'}`);
  if (usable.includes(found)) return found;
  throw refuse(
    `attempt ${wanted} of ${dir} has no checkpoints`,
    those === ''
      ? 'make a run with qmpilot repro FILE --checkpoints 2s'
      : `those with checkpoints: ${those}; a run keeps those of its first failing attempt unless it is told otherwise`,
  );
}

/** @throws {USAGE} when the scenario is not that of the run, or cannot judge a fork of a checkpoint */
export function checkScenario(
  { run, record, failure }: WhenInput,
  scenario: Scenario,
  source: string | undefined,
  acceptChanges: boolean,
): void {
  if (source !== undefined && run.source !== undefined && source !== run.source.sha256 && !acceptChanges)
    throw new QmpilotError('USAGE', `the scenario ${run.source.file} is not the one of this run: it has changed`, {
      hint: 'accept it by --accept-changes, for example when only fromCheckpoint was added',
    });
  if (scenario.fromCheckpoint) return;
  const found = record.findings.filter(({ severity }) => severity === 'error');
  if (found.some(({ kind }) => kind !== 'scenario')) return;
  throw new QmpilotError(
    'USAGE',
    `attempt ${record.index} failed by what the scenario itself reports (${failure.title}), which no detector sees in a fork`,
    { hint: 'add fromCheckpoint(vm, { from, signal, fail }) to the scenario, which judges the rest of an attempt' },
  );
}
