import { QmpilotError } from '@qmpilot/core';
import { expect, it } from 'vitest';
import { exitCodeOf } from './exit-codes.js';
import { unlessUncaught } from './uncaught.js';

it('a scenario that fails while it prepares its guest is skipped by git bisect run, not called bad', async () => {
  const thrown = new QmpilotError('SCENARIO', 'the prepare of this scenario threw Error: no compiler', {
    evidence: { console: ['# make'] },
  });
  const error: unknown = await unlessUncaught(() => Promise.reject(thrown)).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'SCENARIO', message: thrown.message, evidence: { console: ['# make'] } });
  expect(exitCodeOf(error)).toBe(125);
  expect(exitCodeOf(new QmpilotError('SCENARIO', 'x.repro.ts exports no scenario'))).toBe(2);
});
