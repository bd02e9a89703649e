import type { RunEvent } from '@qmpilot/core';
import { RepeatedFindings, renderEvent } from '../render/run-event.js';
import { paint } from '../render/text/color.js';
import type { DisplayKind } from './display-kind.js';
import { EventDisplay } from './event-display.js';
import { renderBlock } from './progress-block.js';
import { ProgressState } from './progress-state.js';

/** Shows a run. */
export function runDisplay(kind: DisplayKind): EventDisplay<RunEvent> {
  const state = new ProgressState();
  const repeated = new RepeatedFindings();
  let attempts = 0;
  let parallel = false;
  return new EventDisplay(kind, {
    render: (nowMs, size) => renderBlock(state, nowMs, size),
    take: (event, nowMs) => {
      if (event.type === 'run') attempts = event.attempts;
      if (event.type === 'forks') parallel = event.forks > 1;
      state.take(event, nowMs);
    },
    text: (event) => {
      if (repeated.has(event)) return undefined;
      const line = renderEvent(event, attempts, parallel);
      return line === undefined ? undefined : colored(event, line);
    },
  });
}

const OUTCOME_COLORS = { reproduced: 'red', clean: 'green', inconclusive: 'yellow' } as const;

function colored(event: RunEvent, line: string): string {
  if (event.type === 'attempt') return paint(OUTCOME_COLORS[event.record.outcome], line, process.stderr);
  if (event.type === 'finding' && event.finding.severity === 'error') return paint('red', line, process.stderr);
  return line;
}
