import { QmpilotError } from '../errors.js';
import type { AttemptRecord } from './attempt-record.js';

/** What is in an attempts.jsonl. */
export interface AttemptsFile {
  /** Each index once, in the order of the file. */
  readonly records: readonly AttemptRecord[];
  /** How many bytes of the file are whole lines; what follows was cut off while it was written. */
  readonly wholeBytes: number;
  /** The last line lacks its line feed but is whole. */
  readonly endsOpen: boolean;
}

const LINE_FEED = 0x0a;

/**
 * Reads attempts.jsonl. A last line without its end does not count, unless it is whole.
 * @throws {USAGE} for another line that is no attempt, naming it
 */
export function parseAttempts(bytes: Uint8Array, path: string): AttemptsFile {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = text.lastIndexOf(LINE_FEED) + 1;
  const lines = text.subarray(0, end).toString('utf8').split('\n').slice(0, -1);
  const records = lines.map((line, index) => {
    const record = parseRecord(line);
    if (record) return record;
    throw new QmpilotError('USAGE', `line ${index + 1} of ${path} is no attempt`, {
      hint: 'was the file changed by hand? Remove that line, and its attempt runs again',
    });
  });
  const last = parseRecord(text.subarray(end).toString('utf8'));
  return {
    records: unique(last ? [...records, last] : records),
    wholeBytes: last ? text.length : end,
    endsOpen: last !== undefined,
  };
}

function unique(records: readonly AttemptRecord[]): AttemptRecord[] {
  const seen = new Set<number>();
  return records.filter(({ index }) => !seen.has(index) && seen.add(index));
}

function parseRecord(line: string): AttemptRecord | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is AttemptRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { v, type, index, outcome, ms, findings, reason } = value as Readonly<Record<string, unknown>>;
  return (
    v === 1 &&
    type === 'attempt' &&
    Number.isSafeInteger(index) &&
    Number(index) >= 1 &&
    typeof ms === 'number' &&
    Array.isArray(findings) &&
    findings.every(isFinding) &&
    (reason === undefined || typeof reason === 'string') &&
    (outcome === 'reproduced' || outcome === 'clean' || outcome === 'inconclusive')
  );
}

/** What summaries and reports of all kinds of findings read. */
function isFinding(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, severity, title, signature, at, evidence } = value as Readonly<Record<string, unknown>>;
  const texts = [kind, severity, title, signature].every((one) => typeof one === 'string');
  return (
    texts && typeof at === 'number' && Array.isArray(evidence) && evidence.every((line) => typeof line === 'string')
  );
}
