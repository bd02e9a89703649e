import { describe, expect, it } from 'vitest';
import type { StuckTask } from '../../packages/core/src/introspect/explanation/explanation.js';
import { explainInSentences } from '../../packages/core/src/introspect/explanation/sentences.js';
import { explainedWaits } from '../../packages/core/src/run-files/incidents/explained-waits.js';

const stuck = (pid: number, more: Partial<StuckTask> = {}): StuckTask => ({
  task: { comm: `t (${pid})`, pid },
  state: 'blocked',
  waitedMs: 5000,
  stack: [],
  ...more,
});
type Wait = NonNullable<StuckTask['waitsFor']>;
const lock = (more: Partial<Wait> = {}): Wait => ({
  kind: 'mutex',
  address: 'ff26eac702e64840',
  recorded: 'owner',
  owners: [],
  ...more,
});
const read = (...tasks: readonly StuckTask[]) => explainedWaits(explainInSentences(tasks, [], 9));

describe('explainedWaits reads what explainInSentences writes', () => {
  it('waiters, the lock and its owner', () => {
    const owner = { task: { comm: 'npm ci', pid: 7 }, address: '1', stack: [] };
    const named = (more: object) => lock({ name: 'struct c.l', owners: [{ ...owner, state: 'sleeping', ...more }] });
    expect(read(stuck(1, { waitsFor: named({}) }), stuck(2, { waitsFor: named({}) }))).toEqual([
      {
        waiters: [1, 2],
        kind: 'mutex',
        address: 'ff26eac702e64840',
        name: 'struct c.l',
        owner: { comm: 'npm ci', pid: 7 },
        left: false,
      },
    ]);
    expect(read(stuck(1, { waitsFor: named({ leftLocked: 'apparent' }) }))).toMatchObject([{ left: true }]);
    expect(read(stuck(1, { waitsFor: named({ userSpace: true, cpu: 1 }) }))).toMatchObject([{ left: true }]);
    expect(read(stuck(1, { waitsFor: named({ state: 'blocked' }) }))).toMatchObject([{ left: false }]);
  });

  it('a task that is gone, a lock without a certain owner, and every kind of lock', () => {
    expect(read(stuck(1, { waitsFor: lock({ owners: [{ address: '1', state: 'gone', stack: [] }] }) }))).toMatchObject([
      { owner: 'gone' },
    ]);
    const hint = lock({ kind: 'rw-semaphore', recorded: 'hint', readers: 1, access: 'write' });
    const reader = { task: { comm: 'r', pid: 3 }, address: '1', state: 'sleeping', stack: [] } as const;
    const [wait] = read(stuck(1, { waitsFor: { ...hint, owners: [reader] } }));
    expect([wait?.kind, wait?.owner]).toEqual(['rw-semaphore', undefined]);
    for (const kind of ['completion', 'bit', 'variable', 'wait-queue', 'page', 'spinlock'] as const)
      expect(read(stuck(4, { waitsFor: lock({ kind, recorded: 'none' }) }))).toMatchObject([{ waiters: [4] }]);
    expect(read(stuck(4, { state: 'spinning', cpu: 2, waitsFor: lock({ kind: 'spinlock' }) }))).toMatchObject([
      { kind: 'spinlock', waiters: [4] },
    ]);
  });

  it('the tasks that a sentence names, of many', () => {
    const many = Array.from({ length: 9 }, (_, place) => stuck(place + 1, { waitsFor: lock() }));
    expect(read(...many)).toMatchObject([{ waiters: [1, 2, 3, 4] }]);
  });

  it('nothing where it is unknown what a task waits for', () => expect(read(stuck(1, { function: 'f' }))).toEqual([]));
});
