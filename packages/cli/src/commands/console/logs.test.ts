import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { claim, markEnded, type VmRecord } from '../../daemon/state.js';
import { createProgram } from '../../program.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-logs-test-'));
  vi.stubEnv('QMPILOT_STATE', join(dir, 's'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true });
});

async function logs(...args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const said = { stdout: '', stderr: '' };
  const hear = (stream: 'stdout' | 'stderr') =>
    vi.spyOn(process[stream], 'write').mockImplementation((text: unknown, done?: unknown) => {
      said[stream] += String(text);
      if (typeof done === 'function') done();
      return true;
    });
  hear('stdout');
  hear('stderr');
  try {
    await createProgram('1').parseAsync(['logs', ...args], { from: 'user' });
  } finally {
    vi.restoreAllMocks();
  }
  return said;
}

async function endedVm(loaded?: string, log?: string): Promise<void> {
  const record: VmRecord = { v: 1, name: 'web', guest: 'debian', createdAt: new Date().toISOString(), loaded };
  const directory = await claim(record);
  if (log !== undefined) writeFileSync(join(directory, 'console.log'), log);
  await markEnded(directory, record, 'powered off');
}

it('says why the log of a VM from the boot cache is empty, and where its kernel log is', async () => {
  await endedVm('the boot cache', '');
  expect(await logs('web')).toEqual({
    stdout: '',
    stderr:
      'qmpilot: web has printed nothing on its serial console since it was loaded from the boot cache; its kernel log: qmpilot exec web dmesg\n',
  });
});

it('says that a VM that booted has printed nothing', async () => {
  await endedVm();
  expect(await logs('web')).toEqual({
    stdout: '',
    stderr: 'qmpilot: web has printed nothing on its serial console\n',
  });
});

it('says nothing of its own when there is a log, nor about the log of the daemon', async () => {
  await endedVm('the boot cache', 'hello\n');
  expect(await logs('web')).toEqual({ stdout: 'hello\n', stderr: '' });
  expect(await logs('--daemon', 'web')).toEqual({ stdout: '', stderr: '' });
});
