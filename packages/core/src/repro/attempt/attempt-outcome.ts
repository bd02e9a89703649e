import type { Finding } from '../../detect/finding.js';
import { QmpilotError, type ErrorCode } from '../../errors.js';
import type { AttemptRecord } from '../../run-files/attempt-record.js';
import { explainError } from '../explain-error.js';

/** Thrown by `fail()`, after its finding was reported. */
export class AttemptFailed extends Error {
  override readonly name = 'AttemptFailed';
}

/** Errors about the guest. All others mean that qmpilot could not tell. */
const GUEST_ERRORS: ReadonlySet<ErrorCode> = new Set([
  'TIMEOUT',
  'NOT_FOUND',
  'COMMAND_FAILED',
  'COMMAND_SUCCEEDED',
  'OUTPUT_LIMIT',
  'UNIT_FAILED',
]);

const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g;

/** Whether an error that `attempt` threw may be the guest's failure: a failed command, an assertion, a wait that timed out. */
export function tellsOfGuest(error: unknown): boolean {
  return !(error instanceof QmpilotError) || GUEST_ERRORS.has(error.code);
}

/** The finding that a thrown error stands for under `failOn: 'throw'`. */
export function thrownFinding(error: unknown, at: number): Finding {
  const text = explainError(error);
  const title = text.replace(CONTROL, ' ').slice(0, 200);
  const { console = [], stderr = [] } = error instanceof QmpilotError ? error.evidence : {};
  return {
    kind: 'scenario',
    severity: 'error',
    title,
    signature: title,
    at,
    evidence: [...text.split('\n').slice(0, 40), ...stderr, ...console],
  };
}

/** The verdict of an attempt: what was found before the VM or the scenario failed still counts. */
export function outcomeOf(findings: readonly Finding[], reason: string | undefined): AttemptRecord['outcome'] {
  if (findings.some(({ severity }) => severity === 'error')) return 'reproduced';
  return reason === undefined ? 'clean' : 'inconclusive';
}

/** The first finding of each signature and task, and how often it came: the kernel reports one hung task many times. */
export function distinctFindings(findings: readonly Finding[]): AttemptRecord['findings'] {
  const known = new Map<string, Finding & { times: number }>();
  for (const finding of findings) {
    const key = `${finding.signature}\0${finding.task?.pid ?? ''}`;
    const first = known.get(key);
    if (first) first.times += 1;
    else known.set(key, { ...finding, times: 1 });
  }
  return [...known.values()];
}
