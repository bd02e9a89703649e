import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest';
import { registerScan } from './scan.js';

const fixture = (name: string) => fileURLToPath(new URL(`../../../../tests/fixtures/${name}`, import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'qmpilot-scan-'));
let out = '';
let err = '';

beforeEach(() => {
  out = '';
  err = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((err += String(text)), true));
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});
afterAll(() => rmSync(directory, { recursive: true }));

async function scan(...args: string[]): Promise<number> {
  const program = new Command().exitOverride();
  registerScan(program);
  for (const command of program.commands) command.exitOverride();
  process.exitCode = undefined;
  try {
    await program.parseAsync(['scan', ...args], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    throw error;
  }
  return Number(process.exitCode ?? 0);
}

function log(name: string, content: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

test('a healthy log exits 0 and says so', async () => {
  expect(await scan(fixture('console/healthy.raw'))).toBe(0);
  expect(out).toBe('no failures found\n');
});

test('failures exit 1; each is shown once, with how often, who, and the stack', async () => {
  expect(await scan(fixture('console/user-stall.raw'))).toBe(1);
  expect(out.match(/error: INFO: task hung in io_sq_thread \(\d+ times\)/g)).toHaveLength(1);
  expect(out).toContain('task iou-sqp-317, pid 325');
  expect(out).toContain('stack: __schedule < schedule < schedule_preempt_disabled < __mutex_lock < io_sq_thread');
});

test('--json gives one line per report, with its version', async () => {
  expect(await scan('--json', fixture('kernel-log/captured/lockup.log'), fixture('kernel-log/written/oom.log'))).toBe(
    1,
  );
  const lines = out
    .trimEnd()
    .split('\n')
    .map((line): object => JSON.parse(line));
  expect(lines.length).toBeGreaterThan(2);
  expect(lines[0]).toMatchObject({
    v: 1,
    type: 'finding',
    kind: 'soft-lockup',
    title: 'BUG: soft lockup in demo_lockup',
  });
  expect(lines.at(-1)).toMatchObject({
    kind: 'oom-kill',
    severity: 'warning',
    file: fixture('kernel-log/written/oom.log'),
  });
});

test('--severity error leaves the lesser ones out', async () => {
  expect(await scan('--severity', 'error', fixture('kernel-log/written/storage.log'))).toBe(0);
  expect(await scan('--severity', 'loud', fixture('kernel-log/written/storage.log'))).not.toBe(0);
});

test('a missing file, a directory, a binary and a compressed file are each a clear error, exit 2', async () => {
  expect(await scan(join(directory, 'nowhere.log'))).toBe(2);
  expect(err).toContain('there is no such file');
  expect(await scan(directory)).toBe(2);
  expect(err).toContain('is a directory');
  expect(await scan(log('binary', new Uint8Array(4096)))).toBe(2);
  expect(err).toContain('is a binary file');
  expect(await scan(log('log.gz', new Uint8Array([0x1f, 0x8b, 8, 0])))).toBe(2);
  expect(err).toContain('zcat');
});

test('an unreadable file does not keep the others from being read', async () => {
  expect(await scan(join(directory, 'nowhere.log'), fixture('kernel-log/written/oom.log'))).toBe(2);
  expect(out).toContain('Out of memory: Killed process my server');
});

test('what the guest wrote reaches the terminal only spelled out', async () => {
  const hostile = log(
    'hostile',
    '[    1.000000] INFO: task \u009b31m\u202e:1 blocked for more than 10 seconds.\n[    1.000001] unregister_netdevice: x\n',
  );
  await scan(hostile);
  // eslint-disable-next-line no-control-regex
  expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  expect(out).toContain('\\x9b31m\\x202e');
});

test('an empty log is a healthy log', async () => {
  expect(await scan(log('empty', ''))).toBe(0);
});
