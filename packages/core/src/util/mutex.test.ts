import { expect, it } from 'vitest';
import { deferred } from './deferred.js';
import { Mutex } from './mutex.js';

it('runs tasks in the order of the calls, and none beside another, also when one gives up its turn', async () => {
  const mutex = new Mutex('vm');
  const first = deferred<void>();
  const order: string[] = [];
  const task = (name: string, until?: Promise<void>) => async () => {
    order.push(`${name} starts`);
    await until;
    order.push(`${name} ends`);
  };
  const running = mutex.run('first', {}, task('first', first.promise));
  const given = expect(mutex.run('second', { timeout: 1 }, task('second'))).rejects.toMatchObject({ code: 'TIMEOUT' });
  const last = mutex.run('third', {}, task('third'));
  await given;
  expect(order).toEqual(['first starts']);
  first.resolve();
  await Promise.all([running, last]);
  expect(order).toEqual(['first starts', 'first ends', 'third starts', 'third ends']);
  expect(mutex.holder).toBeUndefined();
});

it('names the task in front in the error of a wait', async () => {
  const mutex = new Mutex('vm');
  const first = deferred<void>();
  const running = mutex.run('`sleep 1000`', {}, () => first.promise);
  await expect(mutex.run('`true`', { timeout: 5 }, async () => {})).rejects.toThrow(
    /^timed out after .* waiting for the turn of `true`; last seen: `sleep 1000` has been running for \d+ ms$/,
  );
  expect(mutex.holder).toMatchObject({ label: '`sleep 1000`' });
  first.resolve();
  await running;
});

it('rejects waiting tasks with CLOSED', async () => {
  const mutex = new Mutex('vm web');
  const first = deferred<void>();
  const started = deferred<void>();
  const running = mutex.run('first', {}, () => {
    started.resolve();
    return first.promise;
  });
  await started.promise;
  const waiting = mutex.run('second', {}, async () => {});
  mutex.close();
  first.resolve();
  await running;
  await expect(waiting).rejects.toMatchObject({ code: 'CLOSED', message: 'vm web was closed' });
});
