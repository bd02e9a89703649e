import type { WhenEvent } from '@qmpilot/core/report';
import { renderWhenEvent } from '../render/when-event.js';
import type { DisplayKind } from './display-kind.js';
import { EventDisplay } from './event-display.js';

/** Shows a search for the rise, as lines also on a terminal. */
export function whenDisplay(kind: DisplayKind): EventDisplay<WhenEvent> {
  return new EventDisplay(kind === 'live' ? 'lines' : kind, {
    render: () => [],
    take: () => {},
    text: (event) => renderWhenEvent(event),
  });
}
