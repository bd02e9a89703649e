import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AttemptRecord } from '@qmpilot/core';
import { processesOf, socketsOf } from '../support/host-processes.js';
import { isFiller } from '../support/host-tools.js';
import type { RunEnd } from './fault-run.js';
import { ATTEMPTS, type FaultRun } from './fault-run.js';

export interface Damage {
  /** Attempts that the command said were finished, and that its run directory does not have. */
  readonly lost: readonly string[];
  /** Processes, sockets and folders that are still there. */
  readonly left: readonly string[];
  /** Anything else that is not as it should be. */
  readonly wrong: readonly string[];
}

/** The lines of attempts.jsonl that end; a last one without its end was never told. */
function recordsOf(dir: string): { readonly records: readonly AttemptRecord[]; readonly wrong: readonly string[] } {
  const path = join(dir, 'attempts.jsonl');
  if (!existsSync(path)) return { records: [], wrong: [] };
  const wrong: string[] = [];
  const records = readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .flatMap((line) => {
      try {
        const record: AttemptRecord = JSON.parse(line);
        return [record];
      } catch {
        wrong.push(`attempts.jsonl has a line that is not whole: ${line.slice(0, 60)}`);
        return [];
      }
    });
  const indices = records.map(({ index }) => index);
  if (new Set(indices).size < indices.length) wrong.push(`attempts.jsonl has an attempt twice: ${indices.join(' ')}`);
  for (const { index } of records) {
    if (!existsSync(join(dir, 'attempts', String(index).padStart(4, '0'), 'findings.json')))
      wrong.push(`attempt ${index} has no evidence`);
  }
  return { records, wrong };
}

/** What the attempts say that could tell hangs on their seeds alone. */
function misjudged(records: readonly AttemptRecord[], exempt: number): string[] {
  return records
    .filter(
      ({ index, outcome, seed }) =>
        index !== exempt && outcome !== 'inconclusive' && (outcome === 'reproduced') !== (seed % 3 === 0),
    )
    .map(({ index, outcome, seed }) => `attempt ${index} with seed ${seed} was called ${outcome}`);
}

const LEFT_DEADLINE_MS = 20_000;

async function leftOf(run: FaultRun): Promise<string[]> {
  const begun = performance.now();
  for (;;) {
    const left = [
      ...processesOf(run.base).map(({ pid, command }) => `process ${pid} ${command.slice(0, 60)}`),
      ...socketsOf(run.base),
      ...run.files().filter((name) => !isFiller(name.slice(name.indexOf('/') + 1))),
    ];
    if (left.length === 0 || performance.now() - begun > LEFT_DEADLINE_MS) return left;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export interface Expected {
  /** Which attempt may end in any way. */
  readonly exempt: number;
  /** Exit codes, and `SIGKILL` and the like, that are right after this fault. */
  readonly exits: readonly (number | NodeJS.Signals)[];
  /** What the error has to name, where the run did not end well, and what a reason of an inconclusive attempt has to. */
  readonly says: RegExp;
}

/** After the fault, before anything is repaired. */
export async function checkFault(run: FaultRun, end: RunEnd, { exempt, exits, says }: Expected): Promise<Damage> {
  const { records, wrong } = recordsOf(run.dir);
  const there = new Set(records.map((record) => JSON.stringify(record)));
  const how = end.code ?? end.signal ?? 'nothing';
  const reasons = records.flatMap(({ index, reason }) =>
    reason === undefined || says.test(reason) ? [] : [`attempt ${index} gives another reason: ${reason}`],
  );
  return {
    lost: end.told.filter((record) => !there.has(JSON.stringify(record))).map(({ index }) => `attempt ${index}`),
    left: await leftOf(run),
    wrong: [
      ...wrong,
      ...misjudged(records, exempt),
      ...reasons,
      ...(exits.some((exit) => exit === how) ? [] : [`ended with ${how}: ${end.stderr.slice(-1500)}`]),
      ...(end.code === 0 || end.code === 1 || end.code === null || says.test(end.stderr)
        ? []
        : [`the error does not say what happened: ${end.stderr.slice(-1500)}`]),
      ...(/internal error/.test(end.stderr) ? [`an error of no kind: ${end.stderr.slice(-1500)}`] : []),
    ],
  };
}

/** After the run was resumed: all its attempts, and those of before as they were. */
export async function checkResumed(
  run: FaultRun,
  end: RunEnd,
  before: readonly AttemptRecord[],
  exempt: number,
): Promise<Damage> {
  const { records, wrong } = recordsOf(run.dir);
  const there = new Set(records.map((record) => JSON.stringify(record)));
  return {
    lost: before
      .filter((record) => !there.has(JSON.stringify(record)))
      .map(({ index }) => `attempt ${index}, by the resume`),
    left: await leftOf(run),
    wrong: [
      ...wrong,
      ...misjudged(records, exempt),
      ...(end.code === 1 ? [] : [`the resume ended with ${end.code ?? end.signal}: ${end.stderr.slice(-1500)}`]),
      ...(records.length === ATTEMPTS ? [] : [`${records.length} of ${ATTEMPTS} attempts after the resume`]),
    ],
  };
}
