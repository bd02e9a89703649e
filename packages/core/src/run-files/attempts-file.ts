import * as v from 'valibot';
import { QmpilotError } from '../errors.js';
import type { AttemptRecord } from './attempt-record.js';
import { parseJson, parseJsonLines, salvage, type Salvaged } from './salvage.js';
import { ATTEMPT_SCHEMA, FINDING_SCHEMA } from './schema.js';

/** The contents of attempts.jsonl. */
export interface AttemptsFile {
  /** Each index once, in the order of the file. */
  readonly records: readonly AttemptRecord[];
  /** Bytes of the file that are complete lines; what follows was cut off while it was written. */
  readonly wholeBytes: number;
  /** The last line is complete, but has no line feed. */
  readonly endsOpen: boolean;
}

type RecordedFinding = AttemptRecord['findings'][number];

const LINE_FEED = 0x0a;

/**
 * Reads attempts.jsonl strictly, to continue the run. A last line without a line feed counts only if it is complete.
 * @throws {USAGE} naming the first other line that is not a valid record
 */
export function parseAttempts(bytes: Uint8Array, path: string): AttemptsFile {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = text.lastIndexOf(LINE_FEED) + 1;
  const lines = text.subarray(0, end).toString('utf8').split('\n').slice(0, -1);
  const records = lines.map((line, index) => {
    const record = parseRecord(line);
    if (record) return record;
    throw new QmpilotError('USAGE', `${path}:${index + 1}: not a valid attempt record`, {
      hint: 'remove the line if the file was edited; its attempt then runs again',
    });
  });
  const last = parseRecord(text.subarray(end).toString('utf8'));
  return {
    records: uniqueByIndex(last ? [...records, last] : records),
    wholeBytes: last ? text.length : end,
    endsOpen: last !== undefined,
  };
}

/** Reads as much of attempts.jsonl as can be read, by index; counts lines that cannot. */
export function salvageAttempts(text: string): {
  readonly attempts: readonly AttemptRecord[];
  readonly damaged: number;
} {
  const { objects, damaged } = parseJsonLines(text);
  const records = objects.map(salvageRecord);
  const attempts = uniqueByIndex(records.filter((record) => record !== undefined));
  return {
    attempts: attempts.toSorted((one, other) => one.index - other.index),
    damaged: damaged + records.filter((record) => record === undefined).length,
  };
}

/** Reads a finding as far as it fits, with defaults for the rest; undefined without a title. */
export function salvageFinding(value: unknown): RecordedFinding | undefined {
  return completeFinding(salvage(FINDING_SCHEMA, value));
}

function uniqueByIndex(records: readonly AttemptRecord[]): AttemptRecord[] {
  const seen = new Set<number>();
  return records.filter(({ index }) => !seen.has(index) && seen.add(index));
}

function parseRecord(line: string): AttemptRecord | undefined {
  const value = parseJson(line);
  return isRecord(value) ? value : undefined;
}

/** Reports complete what older versions did not write. */
function isRecord(value: unknown): value is AttemptRecord {
  return v.is(ATTEMPT_SCHEMA, value);
}

function salvageRecord(value: unknown): AttemptRecord | undefined {
  const { index, outcome, checkpoints, ...rest } = salvage(ATTEMPT_SCHEMA, value) ?? {};
  if (index === undefined || outcome === undefined) return undefined;
  return {
    ms: 0,
    restoreMs: 0,
    seed: 0,
    startedAt: '',
    ...rest,
    v: 1,
    type: 'attempt',
    index,
    outcome,
    findings: (rest.findings ?? []).map(completeFinding).filter((one) => one !== undefined),
    ...(checkpoints?.endedAt !== undefined && {
      checkpoints: {
        endedAt: checkpoints.endedAt,
        list: (checkpoints.list ?? []).flatMap(({ number, at, ...more }) =>
          number === undefined || at === undefined ? [] : [{ pausedMs: 0, bytes: 0, ...more, number, at }],
        ),
      },
    }),
  };
}

function completeFinding(
  finding: Salvaged<v.InferOutput<typeof FINDING_SCHEMA>> | undefined,
): RecordedFinding | undefined {
  if (finding?.title === undefined) return undefined;
  const { title, task, stack, ...rest } = finding;
  return {
    kind: 'unknown',
    severity: 'error',
    signature: title,
    at: 0,
    evidence: [],
    times: 1,
    ...rest,
    title,
    ...(task?.comm !== undefined && task.pid !== undefined && { task: { ...task, comm: task.comm, pid: task.pid } }),
    ...(stack && {
      stack: stack.map((frame) => ({
        ...frame,
        function: frame.function ?? '?',
        raw: frame.raw ?? frame.function ?? '?',
      })),
    }),
  };
}
