import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Vm } from '@qmpilot/core';
import { explainDump } from '@qmpilot/core/vm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { bootTinyGuest } from '../../../support/tiny-guest.js';

let dir = '';
let vm: Vm;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-debuggers-'));
  vm = await bootTinyGuest(dir);
});
afterAll(async () => {
  await vm.close();
  rmSync(dir, { recursive: true, force: true });
});

const status = async () => (await vm.qmp.execute('query-status')).status;

/**
 * A client of the gdb protocol that has asked why the guest stopped, and the answer: the packet after the
 * acknowledgement `+`. QEMU may report the stop by itself (`$T02`) before it has read the question.
 */
async function attach(socket: string): Promise<{ readonly answer: string; leave(): void }> {
  const client = connect(socket);
  const answer = await new Promise<string>((resolve, reject) => {
    client.once('error', reject);
    client.once('connect', () => client.write('+$?#3f'));
    let text = '';
    client.on('data', (bytes) => {
      text += bytes.toString('latin1');
      if (/\+\$.*#../.test(text)) resolve(text);
    });
  });
  return { answer, leave: () => client.destroy() };
}

it('tells which kernel runs, and where KASLR has put it', async () => {
  const { release, buildId, text } = await vm.kernel();
  await vm.console.type('busybox mkdir -p /proc /sys; busybox mount -t proc p /proc; busybox mount -t sysfs s /sys\n');
  await vm.console.type(`busybox uname -r; busybox grep -c '^${text} . _stext$' /proc/kallsyms\n`);
  await vm.console.expect(release);
  await vm.console.expect(/^1\r?$/m);
  await vm.console.type(
    `busybox od -An -v -tx1 /sys/kernel/notes | busybox tr -d ' \\n' | busybox grep -c ${buildId}\n`,
  );
  await vm.console.expect(/^1\r?$/m);
  expect(buildId).toMatch(/^[0-9a-f]{40}$/);
});

it('stops the guest for gdb, and lets it run on when the server is closed', async () => {
  await using server = await vm.gdbServer();
  expect(await status()).toBe('running');
  const gdb = await attach(server.socket);
  expect(gdb.answer).toMatch(/\+\$T05/);
  expect(await status()).toBe('paused');
  await server.close();
  expect(await status()).toBe('running');
  gdb.leave();
  await expect(attach(server.socket)).rejects.toMatchObject({ code: 'ENOENT' });
  await vm.console.type('echo $((6*7))\n');
  await vm.console.expect('42');
});

it('has one gdb server at a time, which ends with its QEMU', async () => {
  await using server = await vm.gdbServer();
  const [second, third] = await Promise.allSettled([vm.gdbServer(), vm.gdbServer()]);
  expect([second, third]).toMatchObject([
    { reason: { code: 'ALREADY_EXISTS' } },
    { reason: { code: 'ALREADY_EXISTS' } },
  ]);
  await vm.snapshot('before');
  await vm.restore('before');
  await server.close();
  const next = await vm.gdbServer();
  expect(next.socket).not.toBe(server.socket);
  await next.close();
  expect(await status()).toBe('running');
});

it('explains a dump with page tables, and refuses them in another format', async () => {
  const path = join(dir, 'memory.elf');
  await vm.dump(path, { paging: true });
  const { stuck, notes, tasks } = explainDump(path);
  expect({ stuck, notes }).toEqual({ stuck: [], notes: [] });
  expect(tasks).toBeGreaterThan(10);
  await expect(vm.dump(join(dir, 'other'), { paging: true, format: 'kdump-zlib' })).rejects.toMatchObject({
    code: 'USAGE',
  });
});
