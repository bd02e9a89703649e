import type { AttemptRecord } from './attempt-record.js';
import type { RunFile } from './run-file.js';

/** A run of nine attempts. */
export const RUN: RunFile = {
  v: 1,
  name: 'x',
  startedAt: '2026-01-01T00:00:00.000Z',
  seed: 1,
  attempts: 9,
  timeoutMs: 1,
  sessions: [],
};

/** A line of attempts.jsonl. */
export const record = (
  index: number,
  outcome: AttemptRecord['outcome'] = 'clean',
  more: Partial<AttemptRecord> = {},
): AttemptRecord => ({
  v: 1,
  type: 'attempt',
  index,
  outcome,
  startedAt: '',
  ms: 1,
  restoreMs: 1,
  seed: 1,
  findings: [],
  ...more,
});
