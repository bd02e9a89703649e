import * as v from 'valibot';
import type { Finding } from '../detect/finding.js';
import { validate } from '../util/validation/validate.js';

/** A finding of the scenario's own. Defaults: `kind` is `scenario`, `signature` the title, `at` now, `evidence` empty. */
export type ScenarioFinding = Omit<Finding, 'kind' | 'signature' | 'at' | 'evidence'> &
  Partial<Pick<Finding, 'kind' | 'signature' | 'at' | 'evidence'>>;

const LINE = v.pipe(
  v.string(),
  v.check(
    (text) => text.trim() !== '' && !/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text),
    'expected one line of text without control characters',
  ),
);

const SCHEMA = v.looseObject({
  severity: v.picklist(['error', 'warning', 'info']),
  title: LINE,
  kind: LINE,
  signature: LINE,
  at: v.pipe(v.number(), v.finite(), v.minValue(0, 'expected milliseconds since the attempt began')),
  evidence: v.array(v.string()),
});

/** Checks the name of a moment of an attempt. @throws {USAGE} unless it is one line of text */
export function checkMark(mark: string): void {
  validate(LINE, mark, 'checkpoint: mark');
}

/**
 * Completes and checks a finding that a scenario reports.
 * @param name how the caller calls it, in errors
 * @throws {USAGE} naming the part that is invalid
 */
export function scenarioFinding(given: ScenarioFinding, now: number, name: string): Finding {
  validate(v.looseObject({}), given, name);
  const finding = { kind: 'scenario', signature: given.title, at: now, evidence: [], ...given };
  validate(SCHEMA, finding, name);
  return finding;
}
