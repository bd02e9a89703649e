import { expect, it } from 'vitest';
import { evidenceOrder } from './evidence-order.js';
import { attempt, finding } from './run.fixture.js';

it('takes one attempt for each failure first, then failed and other ones alternately, each once', () => {
  const attempts = [
    attempt(1, 'c'),
    attempt(2, 'r'),
    attempt(3, 'r'),
    attempt(4, 'r', { findings: [finding({ signature: 'rare' })] }),
    attempt(5, 'i'),
    attempt(6, 'c'),
  ];
  expect(evidenceOrder(attempts)).toEqual([2, 4, 1, 3, 5, 6]);
});
