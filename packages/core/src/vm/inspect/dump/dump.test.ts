import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Mutex } from '../../../util/async/mutex.js';
import type { VmContext } from '../../context.js';
import { dump } from './dump.js';

it('reads the reasons that block a migration only some time after QEMU has let the guest run again', async () => {
  const states = ['save-vm', 'save-vm', 'running'];
  const reasons = ['dump-guest-memory in progress'];
  const asked: string[] = [];
  let runsSince = Number.NaN;
  const answers: Record<string, () => unknown> = {
    'dump-guest-memory': () => ({}),
    'query-dump': () => ({ status: 'completed', completed: 1, total: 1 }),
    'query-status': () => {
      const status = states.shift() ?? 'running';
      if (status === 'running') runsSince = performance.now();
      return { status };
    },
    'query-migrate': () => {
      // As QEMU's dump thread may be in the middle of removing its reason.
      expect(performance.now() - runsSince).toBeGreaterThan(5);
      return { 'blocked-reasons': reasons.splice(0, 1) };
    },
  };
  const qmp = {
    on: () => () => {},
    execute: async (command: string) => {
      asked.push(command);
      return answers[command]?.();
    },
  };
  const context = { turns: new Mutex('the VM synthetic'), machine: { qmp } } as unknown as VmContext;
  const dir = mkdtempSync(join(tmpdir(), 'qmpilot-dump-'));
  try {
    await dump(context, join(dir, 'memory.elf'), {});
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  expect(asked.slice(2)).toEqual(['query-status', 'query-status', 'query-status', 'query-migrate', 'query-migrate']);
});
