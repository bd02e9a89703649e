import type { WhenEvent } from '@qmpilot/core/report';
import { renderWhenEvent } from '../../render/when-event.js';
import type { DisplayKind } from '../display-kind.js';
import { EventDisplay } from '../event-display.js';
import { renderWhenBlock } from './when-block.js';
import { WhenProgress } from './when-state.js';

/** Shows a search for the rise. */
export function whenDisplay(kind: DisplayKind): EventDisplay<WhenEvent> {
  const state = new WhenProgress();
  return new EventDisplay(kind, {
    render: (nowMs, size) => renderWhenBlock(state, nowMs, size),
    take: (event, nowMs) => state.take(event, nowMs),
    text: (event, hasBlock) => {
      // The block has the curve.
      const isInBlock = event.type === 'rise' || (event.type === 'fork' && event.fork.outcome !== 'inconclusive');
      return hasBlock && isInBlock ? undefined : renderWhenEvent(event);
    },
  });
}
