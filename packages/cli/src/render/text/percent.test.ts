import { expect, it } from 'vitest';
import { percent } from './percent.js';

it.each([
  [0, '0 %'],
  [0.001, '0.10 %'],
  [0.0149, '1.5 %'],
  [0.5, '50 %'],
  [0.9996, '99.96 %'],
  [1, '100 %'],
])('a share of %d is %s: a rare failure is not none, and nearly all are not all', (share, text) => {
  expect(percent(share)).toBe(text);
});
