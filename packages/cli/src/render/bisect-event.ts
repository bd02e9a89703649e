import type { BisectEvent } from '@qmpilot/core/bisect';
import { formatPercent } from '@qmpilot/core/internal';
import { visible } from './text/visible.js';

const PLACES = { ends: 'end', search: 'commit', confirmation: 'confirmation of' } as const;

/** One line for people about an event of a bisection; undefined for those that are not shown. */
export function renderBisectEvent(event: BisectEvent): string | undefined {
  switch (event.type) {
    case 'progress':
      return visible(event.message);
    case 'attempts': {
      const { purpose, commit, failures, attempts } = event;
      const noun = attempts === 1 ? 'attempt' : 'attempts';
      return `${PLACES[purpose]} ${commit.slice(0, 12)}: ${failures} of ${attempts} ${noun} failed`;
    }
    case 'state': {
      const { suspects, commits, entropy, likeliest } = event;
      const most = `${formatPercent(likeliest.probability)} ${likeliest.commit.slice(0, 12)}`;
      return `${suspects} of ${commits} commits left, ${entropy.toFixed(1)} bits; most likely: ${most}`;
    }
    case 'run':
      if (event.event.type === 'progress') return `  ${visible(event.event.message)}`;
      return event.event.type === 'booted' ? '  booted' : undefined;
    case 'build-output':
      return undefined;
  }
}
