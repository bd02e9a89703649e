import { expect, it } from 'vitest';
import { AbortedError, TimeoutError } from '../../errors.js';
import { awaitWithin } from './deadline.js';
import { withinLimit } from './limit.js';

const never = (awaited: string, signal: AbortSignal | undefined) =>
  awaitWithin<void>({ awaited }, { signal }, () => {});

it('ends an operation of several steps at the one limit, and names the step that waited', async () => {
  const begun = performance.now();
  const error: unknown = await withinLimit({ awaited: 'all of it', timeout: 200 }, async (signal) => {
    await awaitWithin<void>({ awaited: 'the first step' }, { signal }, (resolve) => void setTimeout(resolve, 120));
    await never('the second step', signal);
  }).catch((thrown: unknown) => thrown);
  if (!(error instanceof TimeoutError)) throw error;
  expect(error.message).toMatch(/^timed out after .* waiting for the second step$/);
  expect(error.waitedMs).toBeGreaterThanOrEqual(200);
  expect(error.waitedMs).toBeLessThanOrEqual(performance.now() - begun);
});

it('does not wait for steps that take long to clean up', async () => {
  let cleaned = false;
  const slow = withinLimit({ awaited: 'the operation', timeout: 50, graceMs: 20 }, async (signal) => {
    await never('a step', signal).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 300));
    cleaned = true;
  });
  await expect(slow).rejects.toMatchObject({ code: 'TIMEOUT', awaited: 'the operation' });
  expect(cleaned).toBe(false);
  await expect.poll(() => cleaned).toBe(true);
});

it("keeps the caller's abort apart from the limit, in operations within operations too", async () => {
  const caller = new AbortController();
  const aborted = withinLimit({ awaited: 'outer', timeout: '1m', signal: caller.signal }, (signal) =>
    withinLimit({ awaited: 'inner', timeout: '1m', signal }, (inner) => never('a step', inner)),
  ).catch((thrown: unknown) => thrown);
  caller.abort('enough');
  const error = await aborted;
  expect(error).toBeInstanceOf(AbortedError);
  expect(error).toMatchObject({ code: 'ABORTED', cause: 'enough' });

  await expect(
    withinLimit({ awaited: 'outer', timeout: 30 }, (signal) =>
      withinLimit({ awaited: 'inner', timeout: '1m', signal }, (inner) => never('a step', inner)),
    ),
  ).rejects.toMatchObject({ code: 'TIMEOUT', awaited: 'a step' });
});

it.each([null, Infinity, '5 parsecs', -1, Number.NaN])('refuses %s as a timeout', async (timeout) => {
  await expect(
    withinLimit({ awaited: 'x', timeout: timeout as unknown as number }, async () => {}),
  ).rejects.toMatchObject({ code: 'USAGE', message: expect.stringMatching(/^timeout: .* is not a duration$/) });
});
