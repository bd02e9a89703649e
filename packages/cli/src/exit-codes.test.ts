import { expect, it } from 'vitest';
import { exitCodeOfRun } from './exit-codes.js';

const NONE = { reproduced: 0, clean: 0, threw: 0 };
const goal = (goal: string, decision: 'open' | 'holds' | 'refuted') => ({ goal, decision });

it.each([
  ['every attempt is clean', { clean: 3 }, 0],
  ['an attempt reproduced', { clean: 2, reproduced: 1 }, 1],
  ['an attempt threw, the others are clean', { clean: 2, threw: 1 }, 125],
  ['an attempt threw, another reproduced', { reproduced: 1, threw: 1 }, 1],
  ['nothing was decided', {}, 125],
  ['the rate is shown to be below the limit', { clean: 300, goal: goal('rate<0.01@95%', 'holds') }, 0],
  ['the rate is above the limit', { clean: 5, reproduced: 5, goal: goal('rate<0.01@95%', 'refuted') }, 1],
  ['the rate is shown to be above a lower limit', { reproduced: 5, goal: goal('rate>0.01@95%', 'holds') }, 1],
  ['the rate is not decided', { clean: 5, goal: goal('rate<0.01@95%', 'open') }, 125],
  ['the goal holds, but an attempt threw', { clean: 300, threw: 1, goal: goal('rate<0.01@95%', 'holds') }, 125],
])('when %s', (_when, summary, status) => {
  expect(exitCodeOfRun({ ...NONE, ...summary })).toBe(status);
});
