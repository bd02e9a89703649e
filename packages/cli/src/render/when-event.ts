import type { WhenEvent } from '@qmpilot/core/report';
import { shortMs } from './text/durations.js';
import { visible } from './text/visible.js';

/** One line for people about an event of `qmpilot when`; undefined for those that are not shown. */
export function renderWhenEvent(event: WhenEvent): string | undefined {
  switch (event.type) {
    case 'progress':
      return visible(event.message);
    case 'when': {
      const { attempt, failure, checkpoints, done } = event;
      const before = done === 0 ? '' : `; ${done} forks were made before`;
      return `attempt ${attempt}: ${visible(failure.title)} after ${shortMs(failure.at)}, ${checkpoints} ${checkpoints === 1 ? 'checkpoint' : 'checkpoints'}${before}`;
    }
    case 'forks':
      return `${event.forks} ${event.forks === 1 ? 'fork' : 'forks'} in parallel (${event.reason})`;
    case 'fork': {
      const { fork, at, failures, attempts } = event;
      const reason = fork.outcome === 'inconclusive' && fork.reason !== undefined ? ` (${visible(fork.reason)})` : '';
      return `  from ${shortMs(at)}: ${fork.outcome}${reason} after ${shortMs(fork.ms)}; ${failures} of ${attempts} failed`;
    }
    case 'rise':
      return `biggest rise so far: between ${shortMs(event.from)} and ${shortMs(event.to)}`;
    case 'result':
      return undefined;
  }
}
