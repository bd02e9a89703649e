import type { RunEvent } from '@qmpilot/core';
import { briefProgress } from './boot-progress.js';
import { renderFinding } from './findings.js';
import { shortMs } from './text/durations.js';
import { visible } from './text/visible.js';

/** One line of progress; undefined for events that are not shown. With `parallel` each line begins with its attempt. */
export function renderEvent(event: RunEvent, attempts: number, parallel: boolean): string | undefined {
  const of = (index: number) => (parallel ? `${index}: ` : '  ');
  switch (event.type) {
    case 'progress':
      return visible(briefProgress(event.message));
    case 'run':
      return runLine(event);
    case 'booted':
      return `guest ${visible(event.facts.guest.name)}, kernel ${visible(event.facts.guest.kernelRelease ?? 'unknown')}: booted in ${shortMs(event.ms)}`;
    case 'prepared':
      return event.from === 'cache'
        ? `using the cached guest: no boot, ready after ${shortMs(event.ms)}`
        : `prepared in ${shortMs(event.ms)}; the snapshot took ${event.snapshotMs.toFixed(0)} ms`;
    case 'forks':
      return `${event.forks} ${event.forks === 1 ? 'attempt' : 'attempts'} in parallel (${event.reason})`;
    case 'attempt-started':
      return `attempt ${event.index} of ${attempts}${parallel ? ` on fork ${event.fork}` : ''}`;
    case 'note':
      return `${of(event.index)}${visible(event.text)}`;
    case 'finding':
      return `${of(event.index)}${event.finding.severity}: ${renderFinding(event.finding)}`;
    case 'poweroff':
      return `${of(event.index)}poweroff: ${event.phase}`;
    case 'attempt': {
      const { index, outcome, reason, ms, restoreMs } = event.record;
      return `${of(index)}=> ${outcome}${reason === undefined ? '' : ` (${visible(reason)})`} after ${shortMs(ms)}, restored in ${restoreMs} ms`;
    }
    case 'restored':
    case 'summary':
      return undefined;
  }
}

function runLine({ shard, attempts, done, todo }: Extract<RunEvent, { type: 'run' }>): string | undefined {
  const parts = [
    ...(shard === undefined
      ? []
      : [`shard ${shard.index} of ${shard.count}: ${done.length + todo} of the run's ${attempts} attempts`]),
    ...(done.length === 0 ? [] : [`${done.length} attempts are finished, ${todo} remain`]),
  ];
  return parts.length === 0 ? undefined : parts.join('; ');
}

/** Findings that the kernel repeats are shown once an attempt. */
export class RepeatedFindings {
  readonly #shown = new Map<number, Set<string>>();

  has(event: RunEvent): boolean {
    if (event.type === 'attempt') this.#shown.delete(event.record.index);
    if (event.type !== 'finding') return false;
    const known = this.#shown.get(event.index) ?? new Set();
    this.#shown.set(event.index, known);
    const key = `${event.finding.signature}\0${event.finding.task?.pid ?? ''}`;
    return known.has(key) || !known.add(key);
  }
}
