import { expect, it } from 'vitest';
import { deferred } from './deferred.js';
import { Mutex } from './mutex.js';

it('runs tasks in the order of the calls, one at a time', async () => {
  const mutex = new Mutex('the shell');
  const order: string[] = [];
  const first = deferred<void>();
  const runs = ['a', 'b', 'c'].map((name) =>
    mutex.run(name, {}, async () => {
      order.push(`${name} begins`);
      if (name === 'a') await first.promise;
      order.push(`${name} ends`);
    }),
  );
  expect(mutex.isFree).toBe(false);
  first.resolve();
  await Promise.all(runs);
  await mutex.idle();
  expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
});

it('names the running task in the error of a wait that times out, and continues with the next', async () => {
  const mutex = new Mutex('the shell');
  const first = deferred<void>();
  const long = mutex.run('"sleep 1000"', {}, () => first.promise);
  const ran: string[] = [];
  const gone = mutex.run('"true"', { timeout: 30 }, async () => void ran.push('true'));
  const next = mutex.run('"next"', {}, async () => void ran.push('next'));
  await expect(gone).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: expect.stringMatching(
      /^timed out after \d+ ms waiting for "true", behind "sleep 1000" \(running for \d+ ms\)$/,
    ),
  });
  first.resolve();
  await Promise.all([long, next]);
  expect(ran).toEqual(['next']);
});

it('rejects what waits when it is closed, and what was aborted before', async () => {
  const mutex = new Mutex('the shell');
  const first = deferred<void>();
  const long = mutex.run('a', {}, () => first.promise);
  const waiting = mutex.run('b', {}, async () => {});
  mutex.close();
  first.resolve();
  await long;
  await expect(waiting).rejects.toMatchObject({ code: 'CLOSED', message: 'the shell was closed' });
  await expect(mutex.run('c', { signal: AbortSignal.abort() }, async () => {})).rejects.toMatchObject({
    code: 'ABORTED',
  });
});

it('rejects a task that is cancelled once it has undone what it began, and those that wait without running them', async () => {
  const mutex = new Mutex('the VM web');
  const seen: string[] = [];
  const running = mutex.runWithin('the snapshot a', {}, async ({ signal }) => {
    await new Promise((resolve) => signal?.addEventListener('abort', resolve));
    await new Promise(setImmediate);
    seen.push('undone');
    throw signal?.reason;
  });
  const waiting = mutex.runWithin('the pause', {}, async () => void seen.push('paused'));
  mutex.cancel();
  const [first, second] = await Promise.allSettled([running, waiting]);
  expect(first).toMatchObject({ reason: { code: 'CLOSED', message: 'the VM web was closed during the snapshot a' } });
  expect(second).toMatchObject({ reason: { code: 'CLOSED', message: 'the VM web was closed during the pause' } });
  expect(seen).toEqual(['undone']);
});
