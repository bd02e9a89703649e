import { expect, it } from 'vitest';
import { QmpilotError } from '../../errors.js';
import type { Vm } from '../../vm/vm.js';
import type { AttemptObserver } from './attempt-observer.js';
import type { AttemptOptions } from './attempt-options.js';
import { dumpFailure } from './dump-failure.js';

function attempt(kind: string, options: { claim?: boolean; fail?: Error; signal?: AbortSignal } = {}) {
  const { claim = true, fail, signal } = options;
  const events: unknown[] = [];
  const dumped: string[] = [];
  const dump = async (path: string) => {
    if (fail) throw fail;
    dumped.push(path);
  };
  const files = { place: (name: string) => `/runs/x/attempts/0003/${name}`, event: (one: unknown) => events.push(one) };
  const result = dumpFailure(
    { dump } as unknown as Vm,
    { findings: [{ kind, severity: 'error' }] } as unknown as AttemptObserver,
    { files, signal, claimDump: () => claim } as unknown as AttemptOptions,
  );
  return { result, events, dumped };
}

it('keeps the memory of a hang or a panic with the attempt', async () => {
  for (const kind of ['hung-task', 'kernel-panic']) {
    const { result, events, dumped } = attempt(kind);
    expect(await result).toBe('attempts/0003/memory.elf');
    expect(dumped).toEqual(['/runs/x/attempts/0003/memory.elf']);
    expect(events).toEqual([{ type: 'dumped', name: 'memory.elf' }]);
  }
});

it('keeps none of another failure, nor a second one of a run', async () => {
  for (const { result, dumped } of [attempt('scenario'), attempt('kernel-panic', { claim: false })]) {
    expect(await result).toBeUndefined();
    expect(dumped).toEqual([]);
  }
});

it('goes on without one that cannot be written, and ends when the run is cancelled', async () => {
  const fail = new QmpilotError('NO_SPACE', 'the disk is full');
  const { result, events } = attempt('kernel-panic', { fail });
  expect(await result).toBeUndefined();
  expect(events).toEqual([{ type: 'not-dumped', reason: 'NO_SPACE: the disk is full' }]);
  const signal = AbortSignal.abort(new Error('cancelled'));
  await expect(attempt('kernel-panic', { fail, signal }).result).rejects.toThrow('cancelled');
});
