import type { StackFrame, TaskRef } from '../../finding.js';
import type { KernelLogFinding, KernelLogKind, MemoryAccess } from '../kernel-log-finding.js';
import { decode } from '../lines/decode.js';
import { BARE_SKIP, COMMON_SKIP } from '../rules/rule.js';
import type { Rule } from '../rules/rule.js';
import { chooseFunction, isCertain, syscallName } from '../stacks/frame-choice.js';
import { functionName } from '../stacks/frames.js';
import { isSkipped } from '../stacks/skip-sets.js';
import type { SkipSet } from '../stacks/skip-sets.js';
import { stalledFunction } from '../stacks/stalled-function.js';
import { blockedOn } from './blocked-on.js';
import { memoryAccess } from './memory-access.js';
import { firstMatch } from './open-report.js';
import type { OpenReport } from './open-report.js';
import { INLINED } from './report-lines.js';

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
const LOCK_AT = /\bat: ?(?:\[<[0-9a-f]+>\] ?)?([A-Za-z_$.][\w.$]*)(?:\+0x|$| )/;
/** kernel/workqueue.c */
const LAST_FUNCTION = /^\s*(?:last function: |preempt=0x[0-9a-f]{1,16} .{0,40}workfn=)([\w.]+)/;

/** What an ended report says, as data. */
export function describeReport(
  report: OpenReport,
  ending: { readonly after?: string; readonly cut: boolean },
): KernelLogFinding {
  const { rule, match, header } = report;
  const variant = rule.variants?.find(({ pattern }) => report.lines.some((line) => pattern.test(line)));
  const groups = match.groups ?? {};
  const stack = mainStack(report);
  const name = chosenFunction(report, stack);
  const access = memoryAccess(report);
  const blocked = blockedOn(report);
  const task = taskOf(report);
  const cpu = cpuOf(report);
  const filled = decode(
    fillTitle(
      variant?.title ?? rule.title,
      { ...groups, ...(name === undefined ? { function: undefined } : { function: name }) },
      access,
    ),
  );
  const title =
    rule.general === true ? filled.replace(/\b(?:0x)?[0-9a-f]{8,16}\b/g, 'ADDR').replace(/\b\d{3,}\b/g, 'NUM') : filled;
  return {
    kind: rule.kind,
    // What made the kernel panic is a failure, even where the kernel only meant to warn.
    severity: report.panic === undefined ? (variant?.severity ?? rule.severity) : 'error',
    title,
    signature: signatureOf(rule, title, name, task),
    at: report.startedAt,
    ...(task === undefined ? {} : { task }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(stack.length === 0 ? {} : { stack }),
    ...(name === undefined ? {} : { function: name }),
    ...(header.time === undefined ? {} : { kernelTime: header.time }),
    ...(access === undefined ? {} : { access }),
    ...(blocked === undefined ? {} : { blockedOn: blocked }),
    ...(report.panic === undefined ? {} : { panic: decode(report.panic) }),
    ...(ending.after === undefined ? {} : { after: ending.after }),
    cut: ending.cut || report.dropped,
    interleaved: report.interleaved || speaksOfOthers(report),
    evidence: report.evidence,
  };
}

function signatureOf(rule: Rule, title: string, name: string | undefined, task: TaskRef | undefined): string {
  const general = rule.device === true ? title : title.replace(/\b0x[0-9a-f]+\b|\b[0-9a-f]{8,16}\b|\d+/g, 'N');
  // Without a function, the name of the task is all that tells two hangs apart.
  const who =
    rule.kind === 'hung-task' && name === undefined && task !== undefined ? ` (${task.comm.replace(/\d+/g, 'N')})` : '';
  return `${rule.kind}: ${name === undefined ? general + who : title}`;
}

function fillTitle(
  template: string,
  values: Readonly<Record<string, string | undefined>>,
  access: MemoryAccess | undefined,
): string {
  const ends = values['function'] === undefined ? template.replace(/ in \{function\}.*$/, '') : template;
  const sized = access?.kind === 'read' || access?.kind === 'write' ? access.kind : undefined;
  return ends
    .replace(/\{(\w+)\}/g, (_, name: string) => {
      if (name === 'Access') return sized === undefined ? '' : sized === 'read' ? 'Read' : 'Write';
      return functionName(values[name] ?? '');
    })
    .replace(/ \/ $/, '')
    .replace(/ {2,}/g, ' ')
    .trim();
}

/** The stack that tells where it happened: not where an object was allocated, nor what a lock depends on. */
function mainStack({ rule, traces }: OpenReport): readonly StackFrame[] {
  const told = traces.filter(({ frames }) => frames.length > 0);
  const calls = told.filter(({ label }) => isCallTrace(label));
  if (rule.from === 'last-trace' || rule.from === 'lock') return (calls.at(-1) ?? told.at(-1))?.frames ?? [];
  if (rule.kind === 'bad-page' || calls.length > 0) return calls[0]?.frames ?? [];
  return told[0]?.frames ?? [];
}

function isCallTrace(label: string): boolean {
  return /^(?:call trace|stack trace|backtrace|stack backtrace)/i.test(label);
}

function chosenFunction(report: OpenReport, stack: readonly StackFrame[]): string | undefined {
  const { rule, traces, counters } = report;
  const skip = rule.skip ?? [];
  switch (rule.from) {
    case 'none':
      return undefined;
    case 'header': {
      const named = namedByHeader(report);
      if (named !== undefined && !isSkipped(functionName(named), skip)) return syscallName(functionName(named));
      return chooseFunction(stack, skip) ?? (named === undefined ? undefined : functionName(named));
    }
    case 'pc': {
      // A mail client may have wrapped the header in front of the function.
      const wrapped = rule.kind === 'warning' && traces[0]?.label === '' ? traces[0].frames[0] : undefined;
      const counter = wrapped ?? counters[0]?.frame;
      return chooseFunction(counter === undefined ? stack : [counter, ...stack], skip) ?? counter?.function;
    }
    case 'hang':
      return hungIn(stack) ?? chooseFunction(stack, skip) ?? chooseFunction(stack, [...COMMON_SKIP, 'waits']);
    case 'stall':
      return stalledFunction(traces, counters, skip);
    case 'lock':
      return lockedIn(report, stack, skip);
    case 'became': {
      const became = traces.find(({ label }) => label.includes('which became'))?.frames ?? [];
      return chooseFunction(became, skip) ?? lockedIn(report, stack, skip);
    }
    case 'allocated': {
      const allocated = traces.find(({ label }) => label.startsWith('page last allocated'))?.frames ?? [];
      return chooseFunction(allocated, skip);
    }
    case 'first-frame':
      return chooseFunction(traces[0]?.frames.slice(0, 1) ?? [], skip) ?? chooseFunction(stack, skip);
    case 'trace':
    case 'last-trace':
      return chooseFunction(stack, skip) ?? chooseFunction(stack, COMMON_SKIP) ?? chooseFunction(stack, BARE_SKIP);
  }
}

/** A symbolized log repeats the header for each function that the compiler put into the next. */
function namedByHeader({ rule, match, lines }: OpenReport): string | undefined {
  const own = match.groups?.['function'];
  if (own === undefined) return lines.flatMap((line) => LAST_FUNCTION.exec(line)?.[1] ?? [])[0];
  if (!INLINED.test(lines[0] ?? '')) return own;
  const whole = lines.find((line) => !INLINED.test(line) && rule.pattern.test(line));
  return (whole === undefined ? undefined : rule.pattern.exec(whole)?.groups?.['function']) ?? own;
}

/** Whatever holds these up stops callers all over the kernel, each of which would be another failure otherwise. */
function hungIn(stack: readonly StackFrame[]): string | undefined {
  for (const { function: name } of stack.filter(isCertain)) {
    if (name.includes('rtnl_lock')) return name;
    if (/synchronize_(?:rcu|srcu|net|sched)/.test(name)) return 'synchronize_rcu';
  }
  return undefined;
}

/** `at: FUNC` of the lock that is wanted, then of the one that is held, then the stack. */
function lockedIn(
  { rule, lines, traces }: OpenReport,
  stack: readonly StackFrame[],
  skip: readonly SkipSet[],
): string | undefined {
  const places = lines
    .filter((line) => !INLINED.test(line))
    .flatMap((line) => LOCK_AT.exec(line)?.[1] ?? [])
    .map(functionName);
  const own = places.slice(0, rule.skip?.includes('workqueue') === true ? 2 : 1);
  const telling = own.find((name) => !isSkipped(name, skip));
  if (telling !== undefined) return syscallName(telling);
  return chooseFunction(stack, skip) ?? chooseFunction(traces[0]?.frames ?? [], skip) ?? own[0];
}

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

function cpuOf(report: OpenReport): number | undefined {
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

/** What one task reports has one line that names it, and the panic it leads to another of the same. */
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

/** The header names one CPU and the lines behind it come from another, or two tasks speak at once. */
function speaksOfOthers(report: OpenReport): boolean {
  if (OF_ONE_TASK.includes(report.rule.kind) && report.panic === undefined && !report.asksBacktraces) {
    const tasks = new Set(report.lines.flatMap((line) => CPU_LINE.exec(line)?.[2] ?? []));
    if (tasks.size > 1) return true;
  }
  const { cpu, cpu2 } = report.match.groups ?? {};
  const named = cpu ?? cpu2;
  const behind = named === undefined ? undefined : firstMatch(report, CPU_LINE)?.[1];
  return behind !== undefined && report.rule.kind !== 'workqueue-lockup' && Number(behind) !== Number(named);
}
