import type { KernelLogFinding } from '@qmpilot/core/detect';
import { visible } from '../../render/text/visible.js';

const SHOWN_FRAMES = 6;

/** A failure of a log, and how often it was reported. */
export interface Failure {
  readonly first: KernelLogFinding;
  count: number;
}

/** Renders the failures of a log for people; `where` is printed before each. */
export function renderFailures(failures: readonly Failure[], where: string): string {
  const blocks = failures.map(({ first, count }) => {
    const lines = [
      `${where}${first.severity}: ${first.title}${count > 1 ? ` (${count} times)` : ''}`,
      `    ${facts(first)}`,
    ];
    const frames = (first.stack ?? []).filter(({ uncertain }) => uncertain !== true).slice(0, SHOWN_FRAMES);
    if (frames.length > 0) lines.push(`    stack: ${frames.map((frame) => frame.function).join(' < ')}`);
    return lines
      .filter((line) => line.trim() !== '')
      .map(visible)
      .join('\n');
  });
  return blocks.map((block) => `${block}\n`).join('');
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
