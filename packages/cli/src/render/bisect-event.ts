import type { BisectEvent } from '@qmpilot/core/bisect';
import { formatPercent, nounOf, shortName } from '@qmpilot/core/internal';
import { visible } from './text/visible.js';

const PLACES = {
  ends: 'end',
  confirmation: 'confirmation of',
  revert: 'culprit reverted at',
} as const;

/** One line for people about an event of a bisection; undefined for those that are not shown. */
export function renderBisectEvent(event: BisectEvent): string | undefined {
  switch (event.type) {
    case 'progress':
      return visible(event.message);
    case 'attempts': {
      const { purpose, commit, failures, attempts } = event;
      const noun = attempts === 1 ? 'attempt' : 'attempts';
      return `${purpose === 'search' ? nounOf(commit) : PLACES[purpose]} ${shortName(commit)}: ${failures} of ${attempts} ${noun} failed`;
    }
    case 'state': {
      const { suspects, commits, entropy, likeliest } = event;
      const [most] = likeliest;
      const named = most && `; most likely: ${formatPercent(most.probability)} ${shortName(most.commit)}`;
      return `${suspects} of ${commits} ${nounOf(most?.commit ?? '')}s left, ${entropy.toFixed(1)} bits${named ?? ''}`;
    }
    case 'run':
      if (event.event.type === 'progress') return `  ${visible(event.event.message)}`;
      return event.event.type === 'booted' ? '  booted' : undefined;
    case 'building':
      return `building ${shortName(event.commit)}${event.ahead === true ? ' ahead' : ''}`;
    case 'build-output':
    case 'built':
    case 'series':
      return undefined;
  }
}
