import { afterEach, expect, it, vi } from 'vitest';
import { awaitWithin, type WaitOptions } from '../../../util/async/deadline.js';
import { awaitReady } from './await-ready.js';

afterEach(() => void vi.useRealTimers());

it('ends a boot without a timeout after three minutes', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  const vm = {
    watch: () => ({ onFinding: () => {}, stop: async () => {} }),
    ended: new Promise(() => {}),
    console: { lastLines: () => ['[  149.825288] the last line'] },
    shell: { ready: (wait: WaitOptions) => awaitWithin<void>({ awaited: 'the shell' }, wait, () => {}) },
    diagnose: async () => ({ state: 'silent', reason: 'the guest is silent', signs: [] }),
  };
  let thrown: unknown;
  void awaitReady(vm as never, { name: 'debian', shell: {} } as never, {}).catch((error: unknown) => (thrown = error));
  await vi.advanceTimersByTimeAsync(179_000);
  expect(thrown).toBeUndefined();
  await vi.advanceTimersByTimeAsync(5000);
  expect(thrown).toMatchObject({
    code: 'TIMEOUT',
    message: expect.stringMatching(/^the guest debian did not come up within 180 s: .*; the guest is silent \(/),
    evidence: { console: ['[  149.825288] the last line'] },
  });
});
