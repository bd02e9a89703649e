import type { WhenPoint, WhenResult } from '../../run-files/when-file.js';
import { wilsonInterval } from '../../statistics/wilson.js';

/** A point of a curve. */
export function point(
  place: WhenPoint['place'],
  at: number,
  failures: number,
  attempts: number,
  more: object = {},
): WhenPoint {
  return {
    place,
    at,
    failures,
    attempts,
    inconclusive: 0,
    probability: attempts > 0 ? failures / attempts : null,
    interval: wilsonInterval(failures, attempts),
    ...more,
  };
}

/** Two coins: the second decides between 4.2 s and 6.3 s. */
export function whenResult(more: Partial<WhenResult> = {}): WhenResult {
  return {
    v: 1,
    type: 'when',
    attempt: 1,
    failure: { title: 'both coins are heads', signature: 'both coins are heads', at: 8400 },
    verdict: 'confirmed',
    limited: false,
    confidence: 0.95,
    points: [
      point('start', 0, 5, 20),
      point('checkpoint', 2100, 3, 12, { number: 1 }),
      point('checkpoint', 3000, 0, 0, { number: 2 }),
      point('checkpoint', 4200, 15, 32, { number: 3, mark: 'after coin 1' }),
      point('checkpoint', 6300, 32, 32, { number: 4, mark: 'after coin 2', inconclusive: 1 }),
      point('failure', 8400, 0, 0, { probability: 1 }),
    ],
    rise: { from: 3, to: 4, checkpoint: 'attempts/0001/checkpoints/003' },
    interval: { console: ['coin 2 shows 1'], events: [{ at: 4300, text: 'command: throw 2 (status 0 after 200 ms)' }] },
    forks: 77,
    inconclusive: 1,
    notes: ['A note.'],
    ...more,
  };
}
