import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, debian, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, expect, it } from 'vitest';

const MEBIBYTE = 2 ** 20;
/** Many pieces, and more than the channel holds. */
const LARGE_BYTES = 24 * MEBIBYTE + 77;
const PORT = 'org.qmpilot.copy';

let vm: Vm;
let dir: string;
let large: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-port-'));
  large = join(dir, 'large');
  writeFileSync(large, randomBytes(LARGE_BYTES));
  vm = await boot(debian(), { cache: true });
  await vm.copyIn(large, '/root/large');
  await vm.snapshot('idle');
});
afterAll(async () => {
  await vm?.close();
  rmSync(dir, { recursive: true, force: true });
});

const sum = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');
const sumInGuest = async (path: string, guest = vm) =>
  (await guest.expectOk(`sha256sum < ${path}`)).stdout.replace(/ .*\n/, '');
const leftovers = async (guest = vm) => (await guest.exec('ls -d /root/*.copying-*')).stdout;

/** Bytes that passed the port in either direction since the guest was booted, as its driver counts them. */
async function countBytes(guest = vm): Promise<number> {
  const counts = `grep -lx 'name: ${PORT}' /sys/kernel/debug/virtio-ports/* | xargs grep -E 'bytes_(sent|received):'`;
  const { stdout } = await guest.expectOk(`mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null; ${counts}`);
  return [...stdout.matchAll(/: (\d+)/g)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}

it('carries a large file in and out, byte for byte', async () => {
  const before = await countBytes();
  const progress: number[] = [];
  await vm.copyIn(large, '/root/whole', { onProgress: ({ bytes }) => progress.push(bytes) });
  expect(await sumInGuest('/root/whole')).toBe(sum(large));
  expect(progress.length).toBeGreaterThan(5);
  expect(progress).toEqual(progress.toSorted((one, other) => one - other));
  await vm.copyOut('/root/whole', join(dir, 'back'));
  expect(sum(join(dir, 'back'))).toBe(sum(large));
  expect((await countBytes()) - before).toBeGreaterThan(2 * LARGE_BYTES);
  expect(await leftovers()).toBe('');
});

it('is used by one copy after the other when several begin at once, among other commands', async () => {
  const before = await countBytes();
  const [, , , { stdout }] = await Promise.all([
    vm.copyIn(large, '/root/one'),
    vm.copyOut('/root/large', join(dir, 'two')),
    vm.copyIn(large, '/root/three'),
    vm.exec('echo meanwhile'),
  ]);
  expect(stdout).toBe('meanwhile\n');
  const sums = [await sumInGuest('/root/one'), sum(join(dir, 'two')), await sumInGuest('/root/three')];
  expect(new Set([...sums, sum(large)]).size).toBe(1);
  expect((await countBytes()) - before).toBeGreaterThan(3 * LARGE_BYTES);
});

it('is free again after a copy that was cancelled in either direction, and brings none of its bytes to the next one', async () => {
  for (const copy of [
    (options: object) => vm.copyIn(large, '/root/cancelled', options),
    (options: object) => vm.copyOut('/root/large', join(dir, 'cancelled'), options),
  ]) {
    const stop = new AbortController();
    const copying = copy({ signal: stop.signal, onProgress: () => stop.abort() });
    await expect(copying).rejects.toMatchObject({ code: 'ABORTED' });
    const before = await countBytes();
    await vm.copyIn(large, '/root/after');
    await vm.copyOut('/root/after', join(dir, 'after'));
    expect(sum(join(dir, 'after'))).toBe(sum(large));
    expect((await countBytes()) - before).toBeGreaterThan(2 * LARGE_BYTES);
  }
  expect((await vm.exec('ls /root/cancelled')).exitCode).not.toBe(0);
  expect(await leftovers()).toBe('');
});

it('says why the guest cannot unpack what it reads, and why the host cannot read', async () => {
  await vm.expectOk('mkdir -p /mnt/small && mount -t tmpfs -o size=1M tmpfs /mnt/small');
  await expect(vm.copyIn(large, '/mnt/small/large')).rejects.toMatchObject({
    code: 'COPY_FAILED',
    message: expect.stringMatching(/^the guest cannot unpack the archive: tar: .*(?:No space left|Wrote only)/),
  });
  expect((await vm.expectOk('ls -A /mnt/small')).stdout).toBe('');
  await expect(vm.copyIn(large, '/dev/null/large')).rejects.toMatchObject({ code: 'COPY_FAILED' });
  await expect(vm.copyIn(dir, '/root')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  await expect(vm.copyOut('/root/none', join(dir, 'none'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(vm.copyOut('/root/large', join(dir, 'limited'), { maxBytes: MEBIBYTE })).rejects.toMatchObject({
    code: 'OUTPUT_LIMIT',
  });
  await vm.copyOut('/etc/hostname', join(dir, 'hostname'));
  expect(readFileSync(join(dir, 'hostname'), 'utf8')).toBe((await vm.expectOk('cat /etc/hostname')).stdout);
});

it('is left to a program of the guest that has it open: the console carries the copy then', async () => {
  await vm.expectOk(
    `for name in /sys/class/virtio-ports/*/name; do [ "$(cat "$name")" = ${PORT} ] && port=/dev/$(basename "$(dirname "$name")"); done; ` +
      'sleep 1000 3<>"$port" >/dev/null 2>&1 & echo $! >/run/holder',
  );
  const before = await countBytes();
  const small = join(dir, 'small');
  writeFileSync(small, randomBytes(MEBIBYTE));
  await vm.copyIn(small, '/root/small');
  await vm.copyOut('/root/small', join(dir, 'small.back'));
  expect(sum(join(dir, 'small.back'))).toBe(sum(small));
  expect(await countBytes()).toBe(before);
  // The file system of the target is full; what tar says is elsewhere.
  writeFileSync(join(dir, 'double'), Buffer.alloc(2 * MEBIBYTE, 1));
  await expect(vm.copyIn(join(dir, 'double'), '/mnt/small/double', { timeout: '2m' })).rejects.toMatchObject({
    code: 'COPY_FAILED',
    message: expect.stringMatching(/tar: .*(?:No space left|Wrote only)/),
  });
  expect((await vm.expectOk('ls -A /mnt/small')).stdout).toBe('');
  expect((await vm.exec('ls -d /run/qmpilot-copy-*')).stdout).toBe('');
  await vm.expectOk('kill $(cat /run/holder)');
  await vm.copyOut('/root/small', join(dir, 'small.again'));
  expect((await countBytes()) - before).toBeGreaterThan(MEBIBYTE);
});

it('is not waited for when its copy makes no progress', async () => {
  const stop = new AbortController();
  let stuck: Promise<unknown> | undefined;
  await new Promise<void>((begun) => {
    stuck = vm.copyIn(large, '/root/stuck', { signal: stop.signal, onProgress: () => begun() });
    stuck.catch(() => {});
  });
  await vm.expectOk('until pkill -STOP -x tar; do :; done');
  writeFileSync(join(dir, 'other'), 'other');
  await vm.copyIn(join(dir, 'other'), '/root/other');
  expect((await vm.expectOk('cat /root/other')).stdout).toBe('other');
  stop.abort();
  await expect(stuck).rejects.toMatchObject({ code: 'ABORTED' });
  expect(await leftovers()).toBe('');
});

it.each([
  ['in', 'restored'],
  ['out', 'restored'],
  ['in', 'killed'],
  ['out', 'killed'],
] as const)('ends a copy (%s) when the VM is %s, and leaves nothing of it', async (way, how) => {
  await using fork = await vm.fork('idle');
  let copying: Promise<unknown> | undefined;
  await new Promise<void>((begun) => {
    const options = { onProgress: () => begun() };
    copying =
      way === 'in'
        ? fork.copyIn(large, '/root/lost', options)
        : fork.copyOut('/root/large', join(dir, 'lost'), options);
    copying.catch(() => {});
  });
  if (how === 'killed') process.kill(fork.pid, 'SIGKILL');
  else await fork.restore('idle');
  await expect(copying).rejects.toMatchObject({
    code: expect.stringMatching(/^(?:SHELL_LOST|CONSOLE_CLOSED|QEMU_EXITED)$/),
  });
  expect(readdirSync(dir).filter((name) => name.includes('lost'))).toEqual([]);
  if (how === 'killed') return;
  await fork.copyIn(large, '/root/found');
  expect(await sumInGuest('/root/found', fork)).toBe(sum(large));
  expect(await leftovers(fork)).toBe('');
});

it.each([
  ['in', 'file'],
  ['out', 'file'],
  ['in', undefined],
] as const)(
  'loses nothing of a copy (%s) during a snapshot (strategy %s); a fork of it can copy',
  async (way, strategy) => {
    const [guest, host] = [`/root/during-${way}`, join(dir, `during-${way}`)];
    let copying: Promise<unknown> | undefined;
    await new Promise<void>((begun) => {
      const options = { onProgress: () => begun() };
      copying = way === 'in' ? vm.copyIn(large, guest, options) : vm.copyOut('/root/large', host, options);
      copying.catch(() => {});
    });
    await vm.snapshot('during', strategy && { strategy });
    await copying;
    expect(way === 'in' ? await sumInGuest(guest) : sum(host)).toBe(sum(large));
    await using fork = await vm.fork('during');
    // In the fork, the script of the copy still has the port.
    writeFileSync(join(dir, 'other'), 'other');
    await fork.copyIn(join(dir, 'other'), '/root/in-fork');
    expect((await fork.expectOk('cat /root/in-fork')).stdout).toBe('other');
    await vm.expectOk('rm -f /root/during-in');
    await vm.removeSnapshot('during');
  },
);
