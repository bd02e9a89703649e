import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attach, type Vm } from '@qmpilot/core';
import { buildDebianImage } from '@qmpilot/core/guests';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createOverlay } from '../../../../packages/core/src/snapshot/strategies/overlay.js';

let dir: string;
let qemu: ChildProcess;
const socket = (name: string) => join(dir, name);
const sockets = () => ({
  qmp: socket('qmp'),
  console: socket('console'),
  shell: socket('hvc0'),
  samplingShell: socket('hvc1'),
});

/** As somebody would start one by hand. */
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-attach-'));
  const image = await buildDebianImage({ defect: 'io-uring-unlocked-flush' });
  await createOverlay({ file: image.disk, format: 'qcow2' }, join(dir, 'disk.qcow2'));
  const unix = (name: string) => `unix:${socket(name)},server=on,wait=off`;
  qemu = spawn(
    process.env['QMPILOT_QEMU'] || 'qemu-system-x86_64',
    [
      '-nodefaults',
      '-display',
      'none',
      '-machine',
      'q35,accel=tcg',
      '-cpu',
      'max',
      '-smp',
      '2',
      '-m',
      '768',
      '-kernel',
      image.kernel,
      '-initrd',
      image.initrd,
      '-append',
      'root=/dev/vda rw console=ttyS0 loglevel=7 sysrq_always_enabled=1',
      '-drive',
      `file=${join(dir, 'disk.qcow2')},if=virtio,format=qcow2`,
      '-qmp',
      unix('qmp'),
      '-serial',
      unix('console'),
      '-device',
      'virtio-serial-pci',
      ...['hvc0', 'hvc1'].flatMap((name) => [
        '-chardev',
        `socket,id=${name},path=${socket(name)},server=on,wait=off`,
        '-device',
        `virtconsole,chardev=${name}`,
      ]),
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  await vi.waitFor(
    () => expect(['qmp', 'console', 'hvc0', 'hvc1'].every((name) => existsSync(socket(name)))).toBe(true),
    { timeout: 20_000 },
  );
});
afterAll(() => {
  qemu.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

describe('attach, to a QEMU that was started by hand', () => {
  let vm: Vm;
  const diskNode = async () => (await vm.qmp.execute('query-block'))[0]?.inserted?.['node-name'];
  beforeAll(async () => {
    vm = await attach(sockets());
    await vm.shell.ready({ timeout: '2m' });
  });
  afterAll(() => vm?.close());

  it('tells what that QEMU is', () => {
    expect(vm.pid).toBe(qemu.pid);
    expect(vm.facts).toMatchObject({
      accelerator: { accelerator: 'tcg' },
      machine: expect.stringMatching(/^pc-q35/),
      cpu: 'max',
      cpus: 2,
      memoryMiB: 768,
    });
    expect(vm.facts.commandLine).toContain('-nodefaults');
  });

  it('runs commands, reads and types on the console, dumps tasks, watches threads', async () => {
    expect(await vm.exec('echo out; exit 3')).toMatchObject({ stdout: 'out\n', exitCode: 3 });
    await vm.console.expect(/root@qmpilot:~# /, { timeout: '1m', from: 0 });
    await vm.console.type('echo "$((6 * 7)) is the answer"\n');
    await vm.console.expect('42 is the answer');
    expect((await vm.sysrq('w')).join('\n')).toContain('Show Blocked State');
    await using watch = vm.watch({ dState: true });
    await expect.poll(() => watch.lastSample?.seen ?? 0, { timeout: 30_000 }).toBeGreaterThan(10);
  });

  it('saves and restores inside that QEMU, and says why it makes no template and no fork', async () => {
    await vm.expectOk('echo before > /run/state');
    await vm.snapshot('inside', { strategy: 'internal' });
    await vm.expectOk('echo after > /run/state');
    await vm.restore('inside');
    expect((await vm.exec('cat /run/state')).stdout).toBe('before\n');
    await expect(vm.snapshot('template', { strategy: 'template' })).rejects.toMatchObject({
      code: 'SNAPSHOT',
      message: expect.stringMatching(/this VM was attached: its QEMU belongs to the program that started it/),
      hint: expect.stringMatching(/internal/),
    });
    await expect(vm.fork('inside')).rejects.toMatchObject({ code: 'SNAPSHOT' });
    // As another process would, that attached before.
    await vm.qmp.runJob(
      'snapshot-save',
      {
        'tag': 'qmpilot-1',
        'vmstate': (await diskNode()) ?? '',
        'devices': [(await diskNode()) ?? ''],
        'job-id': 'theirs',
      },
      {},
    );
    await vm.snapshot('again', { strategy: 'internal' });
    expect((await vm.exec('true')).exitCode).toBe(0);
  });

  it('says that another client holds the monitor', async () => {
    await expect(attach({ qmp: socket('qmp'), timeout: '1s' })).rejects.toMatchObject({
      code: 'TIMEOUT',
      hint: expect.stringMatching(/another client may hold this monitor/),
    });
  });

  it('detaches from it at the end: it keeps running, and can be attached to again, without a console too', async () => {
    await vm.close();
    expect(qemu.exitCode).toBeNull();
    await using bare = await attach({ qmp: socket('qmp') });
    // What was saved by the other process is left; of what we have saved nothing is.
    const saved = (await bare.qmp.execute('query-block'))[0]?.inserted?.image.snapshots ?? [];
    expect(saved.map(({ name }) => name)).toEqual(['qmpilot-1']);
    expect(await bare.qmp.execute('query-status')).toMatchObject({ running: true });
    await expect(bare.exec('true')).rejects.toMatchObject({ code: 'USAGE' });
    await expect(bare.console.type('x')).rejects.toMatchObject({
      code: 'CONSOLE_CLOSED',
      cause: { code: 'USAGE', message: expect.stringMatching(/without a console/) },
    });
  });

  it('follows a poweroff to its end', async () => {
    await using again = await attach(sockets());
    expect(await again.poweroff({ timeout: '1m' })).toMatchObject({
      outcome: 'clean',
      shutdownReason: 'guest-shutdown',
    });
  });

  it('says so where there is no QEMU', async () => {
    await expect(attach({ qmp: socket('qmp') })).rejects.toMatchObject({ code: 'QMP_LINK' });
    await expect(attach({ qmp: `/${'x'.repeat(120)}` })).rejects.toMatchObject({ code: 'USAGE' });
  });
});
