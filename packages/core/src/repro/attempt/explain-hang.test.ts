import { expect, it } from 'vitest';
import type { Finding } from '../../detect/finding.js';
import { QmpilotError } from '../../errors.js';
import type { VmExplanation } from '../../vm/inspect/explain/explain.js';
import type { Vm } from '../../vm/vm.js';
import type { AttemptObserver } from './attempt-observer.js';
import type { AttemptOptions } from './attempt-options.js';
import { explainHang } from './explain-hang.js';

const STUCK: VmExplanation = {
  kernel: '6.1.0',
  tasks: 90,
  stuck: [{ task: { comm: 'iou-sqp', pid: 9 }, state: 'blocked', stack: [] }],
  cycles: [],
  sentences: ['iou-sqp (9) waits for the mutex.'],
  notes: ['a note'],
  pausedMs: 12,
};
const finding = (kind: string): Finding => ({
  kind,
  severity: 'error',
  title: kind,
  signature: kind,
  at: 0,
  evidence: [],
});

function attempt(kind: string, explain: () => Promise<VmExplanation>, signal?: AbortSignal) {
  const written = new Map<string, string>();
  const events: unknown[] = [];
  const files = {
    write: (name: string, text: string) => written.set(name, text),
    event: (one: unknown) => events.push(one),
  };
  const result = explainHang(
    { explain } as unknown as Vm,
    { findings: [finding(kind)] } as unknown as AttemptObserver,
    { files, signal } as unknown as AttemptOptions,
  );
  return { result, written, events };
}

it('keeps the explanation of a hang with the attempt', async () => {
  const { result, written, events } = attempt('d-state', async () => STUCK);
  expect(await result).toEqual(['iou-sqp (9) waits for the mutex.']);
  expect(written.get('explanation.txt')).toBe('iou-sqp (9) waits for the mutex.\na note\n');
  expect(JSON.parse(written.get('explanation.json') ?? '')).toEqual(STUCK);
  expect(events).toEqual([{ type: 'explained', stuck: 1, pausedMs: 12 }]);
});

it('explains no other failure, and writes nothing where nobody is stuck any more', async () => {
  expect(await attempt('oops', async () => STUCK).result).toBeUndefined();
  const { result, written } = attempt('d-state', async () => ({ ...STUCK, stuck: [] }));
  expect(await result).toBeUndefined();
  expect(written.size).toBe(0);
});

it('goes on without one where the memory cannot be read, and ends when the run is cancelled', async () => {
  const fail = async () => {
    throw new QmpilotError('USAGE', 'no kernel');
  };
  const { result, events } = attempt('hung-task', fail);
  expect(await result).toBeUndefined();
  expect(events).toEqual([{ type: 'not-explained', reason: 'USAGE: no kernel' }]);
  await expect(attempt('hung-task', fail, AbortSignal.abort(new Error('cancelled'))).result).rejects.toThrow(
    'cancelled',
  );
});
