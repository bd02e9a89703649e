import type { BisectEvent } from '@qmpilot/core/bisect';
import { renderBisectEvent } from '../../render/bisect-event.js';
import type { DisplayKind } from '../display-kind.js';
import { EventDisplay } from '../event-display.js';
import { renderBisectBlock } from './bisect-block.js';
import { BisectProgress } from './bisect-state.js';

/** Shows a bisection. */
export function bisectDisplay(kind: DisplayKind): EventDisplay<BisectEvent> {
  const state = new BisectProgress();
  return new EventDisplay(kind, {
    render: (nowMs, size) => renderBisectBlock(state, nowMs, size),
    take: (event, nowMs) => state.take(event, nowMs),
    text: (event, hasBlock) => {
      // The block has the state of the search, and what happens now.
      const isInBlock = event.type === 'state' || event.type === 'run' || event.type === 'building';
      return hasBlock && isInBlock ? undefined : renderBisectEvent(event);
    },
  });
}
