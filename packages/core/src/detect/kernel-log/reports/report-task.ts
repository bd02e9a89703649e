import type { TaskRef } from '../../finding.js';
import type { KernelLogKind } from '../kernel-log-finding.js';
import { decode } from '../lines/decode.js';
import { firstMatch } from './open-report.js';
import type { OpenReport } from './open-report.js';

const CPU_LINE =
  /^[ \t]*CPU: ?(\d+) (?:UID: \d+ )?PID: (\d+) Comm: (.{1,64}?) +(?:Not tainted|Tainted:|Kdump:|G[ EWO]|P[ EWO])/;
const BY_TASK = /\bby task (.{1,64}?)\/(\d+)(?: on cpu (\d+))?/;
/** The CPUs that a stall was detected on: `rcu: \t1-....: (10499 ticks this GP) ...`. */
const STALLED_CPU = /^(?:rcu: )?\s*(\d{1,5})-[.!?a-zA-Z]{1,8}: \(/;
/** kernel/locking/lockdep.c, before any stack. */
const LOCK_TASK =
  /^(.{1,64}?)\/(\d{1,10})(?: \[HC\d.{1,40}\])? (?:is (?:trying to|freeing|leaving|exiting)|just changed the state|takes:)/;
const TASK_LINE = /^task:(.{1,64}?) +state:\w.{0,40}? pid:(\d+)/;
const LEAK_TASK = /comm "(.{1,64}?)", pid (\d+)/;
/** Kinds whose reports come from one task: all lines that name a task name the same one. */
const OF_ONE_TASK: readonly KernelLogKind[] = [
  'null-deref',
  'page-fault',
  'general-protection-fault',
  'invalid-opcode',
  'divide-error',
  'oops',
  'bug',
  'warning',
  'refcount',
  'list-corruption',
  'odebug',
  'usercopy',
  'kasan',
  'kmsan',
  'kfence',
  'ubsan',
  'deadlock',
  'lock-state',
  'rcu-usage',
  'lock-held',
  'atomic-sleep',
];

/** The task that the report names. */
export function taskOf(report: OpenReport): TaskRef | undefined {
  const { comm, pid, pid2 } = report.match.groups ?? {};
  const number = pid ?? pid2;
  if (comm !== undefined && number !== undefined) return { comm: decode(comm), pid: Number(number) };
  const cpu = firstMatch(report, CPU_LINE);
  if (cpu !== undefined) return { comm: decode(cpu[3] ?? ''), pid: Number(cpu[2]) };
  for (const form of [BY_TASK, LEAK_TASK, TASK_LINE, LOCK_TASK]) {
    const found = firstMatch(report, form);
    if (found !== undefined) return { comm: decode(found[1] ?? ''), pid: Number(found[2]) };
  }
  return undefined;
}

/** The CPU that it happened on. */
export function cpuOf(report: OpenReport): number | undefined {
  const { cpu, cpu2, self } = report.match.groups ?? {};
  // What CPU lines stand behind a blocked task are the watchdog's own and those of the CPUs that it asked.
  if (report.rule.kind === 'hung-task' || report.rule.kind === 'task-cannot-die') return undefined;
  const stalled =
    report.rule.kind === 'rcu-stall' ? report.lines.flatMap((line) => STALLED_CPU.exec(line)?.[1] ?? []) : [];
  const number =
    cpu ??
    cpu2 ??
    self ??
    (stalled.length === 1 ? stalled[0] : undefined) ??
    firstMatch(report, CPU_LINE)?.[1] ??
    firstMatch(report, BY_TASK)?.[3];
  return number === undefined ? undefined : Number(number);
}

/** Whether the lines come from another CPU than the header names, or from two tasks at the same time. */
export function speaksOfOthers(report: OpenReport): boolean {
  if (OF_ONE_TASK.includes(report.rule.kind) && report.panic === undefined && !report.asksBacktraces) {
    const tasks = new Set(report.lines.flatMap((line) => CPU_LINE.exec(line)?.[2] ?? []));
    if (tasks.size > 1) return true;
  }
  const { cpu, cpu2 } = report.match.groups ?? {};
  const named = cpu ?? cpu2;
  const behind = named === undefined ? undefined : firstMatch(report, CPU_LINE)?.[1];
  return behind !== undefined && report.rule.kind !== 'workqueue-lockup' && Number(behind) !== Number(named);
}
