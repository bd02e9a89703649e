import type { WhenEvent } from '@qmpilot/core/report';
import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { renderWhenBlock } from './when-block.js';
import { WhenProgress } from './when-state.js';

const size = { columns: 90, rows: 24, color: false };
const fork = (at: number, failures: number, attempts: number): WhenEvent => ({
  type: 'fork',
  fork: { v: 1, type: 'fork', checkpoint: 1, ordinal: attempts, outcome: 'clean', ms: 400, seed: 1 },
  at,
  failures,
  attempts,
});

function blockAfter(events: readonly WhenEvent[], at = size): string[] {
  const state = new WhenProgress();
  for (const event of events) state.take(event, 1000);
  return renderWhenBlock(state, 63_000, at).slice(1);
}

describe('the live display of a search for the rise', () => {
  it('shows the curve so far, and between which checkpoints it rises most', () => {
    const events: WhenEvent[] = [
      { type: 'forks', forks: 2, reason: '2 cores, 1 for each guest' },
      fork(6300, 1, 1),
      fork(2100, 0, 1),
      fork(2100, 1, 4),
      fork(4200, 0, 0),
      { type: 'rise', from: 2100, to: 6300 },
    ];
    expect(blockAfter(events)).toEqual([
      '4 forks, 2 at a time, 1:02, biggest rise 2.1 s to 6.3 s',
      '>    2.1 s ██████░░░░░░░░░░░░░░░░░░   25 %  1 of 4 failed',
      '     4.2 s ░░░░░░░░░░░░░░░░░░░░░░░░      -  0 of 0 failed',
      '>    6.3 s ████████████████████████  100 %  1 of 1 failed',
    ]);
  });

  it('shows the checkpoints around the rise where there are more than rows', () => {
    const events: WhenEvent[] = Array.from({ length: 30 }, (_, at) => fork(at * 1000, at > 20 ? 1 : 0, 1));
    const lines = blockAfter([...events, { type: 'rise', from: 20_000, to: 21_000 }], { ...size, rows: 10 });
    expect(lines).toHaveLength(8);
    expect(lines.join('\n')).toMatch(/> +20\.0 s.*\n> +21\.0 s/);
  });

  it.each([20, 60, 120])('fits %d columns and few rows', (columns) => {
    const events = [fork(1, 0, 1), fork(2, 1, 1), fork(3, 1, 1), { type: 'rise', from: 1, to: 2 } as const];
    const lines = blockAfter(events, { columns, rows: 4, color: true });
    expect(lines.length).toBeLessThan(4);
    for (const text of lines) expect(stringWidth(text)).toBeLessThan(columns);
  });
});
