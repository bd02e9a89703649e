import type { Finding } from '../../detect/finding.js';
import type { AttemptRecord } from '../../run-files/attempt-record.js';
import type { AttemptEvidence, RunInput } from './input.js';

export const finding = (more: Partial<Finding> = {}): Finding & { times: number } => ({
  kind: 'hung-task',
  severity: 'error',
  title: 'INFO: task hung in f',
  signature: 'hung-task f',
  at: 2000,
  evidence: [],
  times: 1,
  ...more,
});

/** An attempt by one letter: r reproduced, c clean, i inconclusive. */
export function attempt(index: number, letter: string, more: Partial<AttemptRecord> = {}): AttemptRecord {
  const base = {
    v: 1,
    type: 'attempt',
    index,
    startedAt: '2026-01-31T12:00:00.000Z',
    ms: 10_000,
    restoreMs: 50,
    seed: index,
    findings: [],
  } as const;
  if (letter === 'r') return { ...base, outcome: 'reproduced', timeToFailureMs: 2000, findings: [finding()], ...more };
  return letter === 'c'
    ? { ...base, outcome: 'clean', ...more }
    : { ...base, outcome: 'inconclusive', reason: 'QEMU_EXITED: gone', ...more };
}

/** A run whose attempts are letters, from attempt 1. */
export function runOf(letters: string, more: Partial<RunInput> = {}): RunInput {
  return {
    label: 'run',
    dir: '/runs/run',
    run: { name: 'scenario', environment: [], commandLine: [], sessions: [] },
    attempts: [...letters].map((letter, place) => attempt(place + 1, letter)),
    evidence: new Map(),
    folder: (index) => `attempts/${String(index).padStart(4, '0')}/`,
    notes: [],
    ...more,
  };
}

export const evidence = (console: string, more: Partial<AttemptEvidence> = {}): AttemptEvidence => ({
  console: new TextEncoder().encode(console),
  consoleDropped: 0,
  timing: '',
  events: [],
  files: [],
  ...more,
});

/** Text by which a guest may try to break out of the markup around it. */
export const HOSTILE =
  '</script><script>globalThis.evil=1</script><img src=x onerror="globalThis.evil=1"> `${1}` ```\n\u2028\u2029 \u001b]52;c;ZXZpbA==\u0007\u001b[31m \u202eevil\u202c " \' & ]]> <!-- @everyone | # \ud800';
