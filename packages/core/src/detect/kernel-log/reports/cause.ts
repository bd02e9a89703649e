import type { KernelLogFinding } from '../kernel-log-finding.js';
import type { Rule } from '../rules/rule.js';
import type { OpenReport } from './open-report.js';
import { taskOf } from './report-task.js';

/** The last failure told that others may be the consequence of. */
export interface Cause {
  readonly title: string;
  readonly fatal: boolean;
  readonly pid: number | undefined;
  /** By the kernel's clock, in seconds. */
  readonly time: number | undefined;
  readonly line: number;
}

/** A complaint that the kernel continues after is no reason to panic this much later; backtraces and lists of locks take their time. In seconds. */
const PANIC_WITHIN = 60;
const INIT = 1;

/** Whether what was told already explains a panic that gives no reason of its own. */
export function explains(cause: Cause, { secondary }: Rule, time: number | undefined): boolean {
  if (secondary === undefined) return false;
  if (secondary === 'of-init') return cause.fatal && (cause.pid === undefined || cause.pid === INIT);
  return cause.fatal || time === undefined || cause.time === undefined || time - cause.time < PANIC_WITHIN;
}

/** Whether the panic is the end of what the open report tells. */
export function explainedBy(report: OpenReport, { secondary }: Rule): boolean {
  if (secondary !== 'of-init') return secondary !== undefined || report.inProgress;
  return report.rule.fatal === true && [undefined, INIT].includes(taskOf(report)?.pid);
}

/** Failures of a task that exits after it was killed by the kernel are follow-ups. */
export function isFollowUp(finding: KernelLogFinding, cause: Cause, report: OpenReport): boolean {
  if (finding.panic !== undefined && report.rule.kind === 'kernel-panic') return false;
  const sameTask = finding.task !== undefined && finding.task.pid === cause.pid;
  const died = report.lines.some((text) => /Tainted: [A-Z ]{0,24}D/.test(text));
  return died && sameTask && ['atomic-sleep', 'warning', 'lock-held', 'lock-state', 'rcu-usage'].includes(finding.kind);
}
