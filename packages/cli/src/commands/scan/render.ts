import type { KernelLogFinding, StackFrame } from '@qmpilot/core/detect';
import { visible } from '../../render/text/visible.js';
import type { LocatedFrame } from './source-lines.js';

const SHOWN_FRAMES = 6;

/** A failure of a log, and how often it was reported. */
export interface Failure {
  readonly first: KernelLogFinding;
  count: number;
  /** Its frames with files and lines, where a vmlinux was named. */
  readonly source?: readonly LocatedFrame[] | undefined;
}

/** Renders the failures of a log for people; `where` is printed before each. */
export function renderFailures(failures: readonly Failure[], where: string): string {
  const blocks = failures.map(({ first, count, source }) => {
    const lines = [
      `${where}${first.severity}: ${first.title}${count > 1 ? ` (${count} times)` : ''}`,
      `    ${facts(first)}`,
    ];
    if (source?.some((frame) => frame.source.length > 0)) lines.push(...source.flatMap(frameLines));
    else lines.push(...stackLine(first.stack ?? []));
    return lines
      .filter((line) => line.trim() !== '')
      .map(visible)
      .join('\n');
  });
  return blocks.map((block) => `${block}\n`).join('');
}

function stackLine(stack: readonly StackFrame[]): string[] {
  const frames = stack.filter(({ uncertain }) => uncertain !== true).slice(0, SHOWN_FRAMES);
  return frames.length === 0 ? [] : [`    stack: ${frames.map((frame) => frame.function).join(' < ')}`];
}

/** A line for the frame, and one for each function that the compiler put into it. */
function frameLines({ raw, source }: LocatedFrame): string[] {
  if (source.length === 0) return [`      ${raw}`];
  return source.map(({ function: name, file, line }, depth) => {
    const what = depth < source.length - 1 ? `${name} (inlined)` : raw;
    return `      ${what}  ${file}:${line}`;
  });
}

function facts(finding: KernelLogFinding): string {
  const { blockedOn } = finding;
  const owner = blockedOn?.owner;
  return [
    finding.kernelTime === undefined ? '' : `at ${finding.kernelTime.toFixed(6)} s`,
    finding.task === undefined ? '' : `task ${finding.task.comm}, pid ${finding.task.pid}`,
    blockedOn === undefined
      ? ''
      : `waits for a ${blockedOn.lock}${owner === undefined ? '' : ` of ${owner.comm}, pid ${owner.pid}`}`,
    finding.cpu === undefined ? '' : `CPU ${finding.cpu}`,
    finding.panic === undefined ? '' : `kernel panic: ${finding.panic}`,
    finding.after === undefined ? '' : `perhaps only a consequence of: ${finding.after}`,
    finding.cut ? 'report is cut' : '',
    finding.interleaved ? 'mixed with another report' : '',
  ]
    .filter((fact) => fact !== '')
    .join('; ');
}
