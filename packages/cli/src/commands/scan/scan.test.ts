import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { Command, CommanderError } from 'commander';
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest';
import { registerScan } from './scan.js';
import { unpack } from './unpack.js';

const fixture = (name: string) => fileURLToPath(new URL(`../../../../../tests/fixtures/${name}`, import.meta.url));
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

test('a missing file, a directory and a binary file are each a clear error, exit 2', async () => {
  expect(await scan(join(directory, 'nowhere.log'))).toBe(2);
  expect(err).toContain('there is no such file');
  expect(await scan(directory)).toBe(2);
  expect(err).toContain('is a directory');
  expect(await scan(log('binary', new Uint8Array(4096)))).toBe(2);
  expect(err).toContain('is a binary file');
  expect(out).toBe('');
});

const FAILURE = '[    1.000000] BUG: kernel NULL pointer dereference, address: 0000000000000038\n';
const PACKERS = [['gzip'], ['zstd'], ['xz'], ['bzip2']].filter(
  ([program = '']) => spawnSync(program, ['--version'], { input: '' }).error === undefined,
);

test.each(PACKERS)('a log packed by %s is unpacked', async (program = '') => {
  const packed = execFileSync(program, ['-c'], { input: FAILURE });
  expect(await scan(log(`log.${program}`, packed))).toBe(1);
  expect(out).toContain('error: BUG: unable to handle kernel NULL pointer dereference');
  expect(await scan(log(`cut.${program}`, packed.subarray(0, packed.length - 9)))).toBe(2);
  expect(err).toMatch(/cannot (?:read|unpack) /);
});

test('a decompression bomb is refused, and takes no memory', async () => {
  const bomb = Readable.from([gzipSync(Buffer.alloc(16 << 20))]);
  const read = async () => {
    for await (const chunk of unpack(bomb, 'bomb.gz', 1 << 20)) expect(chunk.length).toBeLessThan(1 << 20);
  };
  await expect(read()).rejects.toThrow('bomb.gz unpacks to more than 1 MiB');
});

test('UTF-16, as a PowerShell writes it, and NUL bytes after a crash are text', async () => {
  expect(await scan(log('utf16', Buffer.from(`\ufeff${FAILURE}`, 'utf16le')))).toBe(1);
  const padded = `${'[    0.500000] up\n'.repeat(300)}${'\0'.repeat(3500)}${FAILURE}`;
  expect(await scan(log('padded', padded))).toBe(1);
});

test('words of a failure in a log of no known form are no clean log', async () => {
  expect(
    await scan(log('strange', 'kernlog|1|BUG: kernel NULL pointer dereference, address: 0000000000000038\n')),
  ).toBe(125);
  expect(out).toBe('');
  expect(err).toContain('the form of this log is not known');
});

test.each(['Kernel panic: the reactor is too hot', 'Panic on CPU 3:'])(
  'a panic that any program may have printed makes a log without prefixes unclear: %s',
  async (line) => {
    expect(await scan(log('bare', `hello\n${line}\nworld\n`))).toBe(125);
    expect(await scan(log('known', `[    1.000000] up\n${line}\n`))).toBe(0);
    expect(err).toContain('a program wrote them');
  },
);

test("a panic of Xen is a failure, whatever else the hypervisor's log has", async () => {
  expect(await scan(log('xen', '(XEN) Panic on CPU 3:\n'))).toBe(1);
  expect(await scan(log('xen-clock', '[    1.000000] up\n(XEN) [2024-03-04 11:29:42] Panic on CPU 3:\n'))).toBe(1);
});

test('what a program printed is told on standard error only', async () => {
  expect(await scan(log('program', '[    1.000000] up\ntest: BUG: KASAN: use-after-free in demo+0x1/0x2\n'))).toBe(0);
  expect(out).toBe('no failures found\n');
  expect(err).toContain('a program wrote them');
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
  expect(out).toContain('\\x9b31m\\u202e');
});

test('an empty log is a healthy log', async () => {
  expect(await scan(log('empty', ''))).toBe(0);
});
