import type { TaskRef } from '../../finding.js';
import type { KernelLogFinding, MemoryAccess } from '../kernel-log-finding.js';
import { decode } from '../lines/decode.js';
import type { Rule } from '../rules/rule.js';
import { functionName } from '../stacks/frames.js';
import { blockedOn } from './blocked-on.js';
import { memoryAccess } from './memory-access.js';
import type { OpenReport } from './open-report.js';
import { chosenFunction, mainStack } from './report-function.js';
import { cpuOf, speaksOfOthers, taskOf } from './report-task.js';

/** Turns an ended report into a finding. */
export function describeReport(
  report: OpenReport,
  ending: { readonly after?: string; readonly cut: boolean },
): KernelLogFinding {
  const { rule, match, header } = report;
  const variant = rule.variants?.find(({ pattern }) => report.lines.some((line) => pattern.test(line)));
  const { also } = rule;
  const behind = also === undefined ? [] : report.lines.slice(1);
  const further = behind.map((line) => also?.exec(line)?.groups).find((found) => found !== undefined);
  const groups = { ...match.groups, ...further };
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
    // A warning that made the kernel panic is an error.
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
  const named = values['function'] === undefined ? template.replace(/ in \{function\}.*$/, '') : template;
  const ends = values['message'] === undefined ? named.replace(/: \{message\}$/, '') : named;
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
