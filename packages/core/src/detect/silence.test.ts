import { expect, it } from 'vitest';
import { createSilenceDetector } from './silence.js';

it('reports each silence once, and starts again when there is output', () => {
  const detector = createSilenceDetector({ afterMs: 100, what: 'heartbeat' });
  expect(detector.tick(0)).toEqual([]);
  expect(detector.tick(99)).toEqual([]);
  expect(detector.tick(100)).toMatchObject([{ kind: 'silence', title: 'no output from heartbeat', at: 100 }]);
  expect(detector.tick(500)).toEqual([]);
  detector.heard(600);
  expect(detector.tick(650)).toEqual([]);
  expect(detector.tick(700)).toHaveLength(1);
});
