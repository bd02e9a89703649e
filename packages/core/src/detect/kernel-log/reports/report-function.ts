import type { StackFrame } from '../../finding.js';
import { BARE_SKIP, COMMON_SKIP } from '../rules/rule.js';
import { chooseFunction, isCertain, syscallName } from '../stacks/frame-choice.js';
import { functionName } from '../stacks/frames.js';
import { isSkipped } from '../stacks/skip-sets.js';
import type { SkipSet } from '../stacks/skip-sets.js';
import { stalledFunction } from '../stacks/stalled-function.js';
import type { OpenReport } from './open-report.js';
import { INLINED } from './report-lines.js';

const LOCK_AT = /\bat: ?(?:\[<[0-9a-f]+>\] ?)?([A-Za-z_$.][\w.$]*)(?:\+0x|$| )/;
/** kernel/workqueue.c */
const LAST_FUNCTION = /^\s*(?:last function: |preempt=0x[0-9a-f]{1,16} .{0,40}workfn=)([\w.]+)/;

/** The stack of the failure itself, not of the allocation of an object or of a lock's dependencies. */
export function mainStack({ rule, traces }: OpenReport): readonly StackFrame[] {
  const told = traces.filter(({ frames }) => frames.length > 0);
  const calls = told.filter(({ label }) => isCallTrace(label));
  if (rule.from === 'last-trace' || rule.from === 'lock') return (calls.at(-1) ?? told.at(-1))?.frames ?? [];
  if (rule.kind === 'bad-page' || calls.length > 0) return calls[0]?.frames ?? [];
  return told[0]?.frames ?? [];
}

function isCallTrace(label: string): boolean {
  return /^(?:call trace|stack trace|backtrace|stack backtrace)/i.test(label);
}

/** The function that the title names, by the rule's own source and then by the main stack. */
export function chosenFunction(report: OpenReport, stack: readonly StackFrame[]): string | undefined {
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
      const counter = wrapped ?? counters[0]?.frame ?? frameOfHeader(report);
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

/** The instruction that a header names where the registers below it are missing. */
function frameOfHeader({ match, header }: OpenReport): StackFrame | undefined {
  const named = match.groups?.['function'];
  return named === undefined ? undefined : { function: functionName(named), raw: header.text };
}

/** When these block, they block callers all over the kernel, and each caller would otherwise be a failure of its own. */
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
