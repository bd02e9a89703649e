import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attach, type AttachOptions } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { qemuBinary } from '../../../support/qmp-harness.js';

let dir: string;
let qemu: ChildProcess;
const at = (name: string) => join(dir, name);

/** A QEMU started by hand, without a guest: with a human monitor, two QMP monitors, and serial lines of two kinds. */
async function startByHand(prefix: string): Promise<ChildProcess> {
  const unix = (name: string) => `unix:${at(prefix + name)},server=on,wait=off`;
  const child = spawn(
    qemuBinary(),
    [
      '-nodefaults',
      '-display',
      'none',
      '-machine',
      'q35,accel=tcg',
      '-m',
      '32',
      '-qmp',
      unix('qmp'),
      '-qmp',
      unix('qmp2'),
      '-monitor',
      unix('hmp'),
      '-serial',
      unix('serial'),
      '-serial',
      'pty',
    ],
    { stdio: ['ignore', 'ignore', 'ignore'] },
  );
  await vi.waitFor(() => expect(existsSync(at(`${prefix}serial`))).toBe(true), { timeout: 20_000 });
  return child;
}

async function client(path: string): Promise<Socket> {
  const socket = createConnection({ path });
  await once(socket, 'connect');
  return socket;
}

const refused = (options: AttachOptions) => expect(attach(options)).rejects;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-attach-test-'));
  qemu = await startByHand('');
});
afterAll(() => {
  qemu.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

describe('attach says what prevents it, and releases what it had', () => {
  it('no socket there, and a socket whose QEMU is gone', async () => {
    await refused({ qmp: at('none') }).toMatchObject({
      code: 'QMP_LINK',
      message: expect.stringMatching(/^cannot connect to .*none: .*ENOENT/),
      hint: expect.stringMatching(/is QEMU running, with -qmp unix:PATH/),
    });
    const gone = await startByHand('gone-');
    gone.kill('SIGKILL');
    await once(gone, 'exit');
    await refused({ qmp: at('gone-qmp') }).toMatchObject({
      code: 'QMP_LINK',
      message: expect.stringMatching(/ECONNREFUSED/),
      hint: expect.stringMatching(/the QEMU that created this socket has ended/),
    });
  });

  it('a socket of another user', async () => {
    const isRoot = process.getuid?.() === 0;
    chmodSync(at('qmp2'), 0o600);
    chmodSync(dir, 0o755);
    if (isRoot) process.seteuid?.(65_534);
    else chmodSync(at('qmp2'), 0);
    try {
      await refused({ qmp: at('qmp2') }).toMatchObject({
        code: 'QMP_LINK',
        message: expect.stringMatching(/EACCES/),
        hint: expect.stringMatching(/run as the user of QEMU/),
      });
    } finally {
      if (isRoot) process.seteuid?.(0);
      chmodSync(at('qmp2'), 0o600);
    }
  });

  it('a monitor that another client holds, as libvirt holds its own', async () => {
    const holder = await client(at('qmp'));
    try {
      await refused({ qmp: at('qmp'), timeout: '500ms' }).toMatchObject({
        code: 'TIMEOUT',
        message: expect.stringMatching(/^timed out after .* waiting for QEMU's QMP greeting/),
        hint: expect.stringMatching(/another client may hold this monitor, as libvirt does: give QEMU a second one/),
      });
    } finally {
      holder.destroy();
    }
  });

  it('a QEMU that is stopped by a signal', async () => {
    qemu.kill('SIGSTOP');
    try {
      await refused({ qmp: at('qmp'), timeout: '500ms' }).toMatchObject({
        code: 'TIMEOUT',
        message: expect.stringMatching(new RegExp(`^QEMU \\(pid ${qemu.pid}\\) is stopped by a signal`)),
        hint: `let it go on: kill -CONT ${qemu.pid}`,
      });
    } finally {
      qemu.kill('SIGCONT');
    }
  });

  it('a human monitor in place of QMP', async () => {
    await refused({ qmp: at('hmp') }).toMatchObject({
      code: 'QMP_LINK',
      message: expect.stringMatching(/HMP|QMP/),
      hint: expect.stringMatching(/-qmp/),
    });
  });

  it('a console that another client holds: QEMU would let us connect and say nothing', async () => {
    const holder = await client(at('serial'));
    try {
      await using bare = await attach({ qmp: at('qmp') });
      await vi.waitFor(async () =>
        expect(await bare.qmp.execute('query-chardev')).toContainEqual(
          expect.objectContaining({ label: 'serial0', filename: expect.stringMatching(/^unix:/) }),
        ),
      );
      await refused({ qmp: at('qmp2'), console: at('serial') }).toMatchObject({
        code: 'CONSOLE_CLOSED',
        message: `console: another client holds ${at('serial')} (serial0), which takes one at a time`,
        hint: expect.stringMatching(/virsh console/),
      });
    } finally {
      holder.destroy();
    }
  });

  it('a console that is a terminal or is not there, with where the lines of this QEMU lead', async () => {
    await using bare = await attach({ qmp: at('qmp') });
    const chardevs = await bare.qmp.execute('query-chardev');
    const pty = chardevs.find(({ filename }) => filename.startsWith('pty:'))?.filename.slice(4) ?? '';
    const lines = expect.stringMatching(new RegExp(`serial[01] at (?:disconnected:unix:.*serial|pty:${pty})`));
    await refused({ qmp: at('qmp2'), console: pty }).toMatchObject({
      code: 'CONSOLE_CLOSED',
      message: `console: ${pty} is a terminal; only a unix socket can be attached to`,
      hint: expect.stringMatching(/<serial type='unix'>/),
    });
    await refused({ qmp: at('qmp2'), shell: at('none') }).toMatchObject({
      code: 'CONSOLE_CLOSED',
      message: `shell: there is no socket at ${at('none')}`,
      hint: lines,
    });
    await expect(bare.console.type('x')).rejects.toMatchObject({ cause: { code: 'USAGE', hint: lines } });
  });

  it('the monitors are free again after all that', async () => {
    for (const name of ['qmp', 'qmp2']) await (await attach({ qmp: at(name), console: at('serial') })).close();
  });
});

describe('attach to a running QEMU', () => {
  it('finds its process by the threads of its CPUs where its files belong to another user', async () => {
    const euid = process.geteuid?.();
    chmodSync(at('qmp'), 0o777);
    if (euid === 0) process.seteuid?.(65_534);
    try {
      await using vm = await attach({ qmp: at('qmp') });
      expect(vm.pid).toBe(qemu.pid);
      expect(vm.facts.commandLine).toContain('q35,accel=tcg');
    } finally {
      if (euid === 0) process.seteuid?.(0);
    }
  });

  it('leaves it as it was, running or paused, and takes no strategy that needs a second QEMU', async () => {
    const vm = await attach({ qmp: at('qmp') });
    await vm.qmp.execute('stop');
    await vm.close();
    await using again = await attach({ qmp: at('qmp') });
    expect(await again.qmp.execute('query-status')).toMatchObject({ running: false });
    await expect(again.snapshot('one')).rejects.toMatchObject({
      code: 'SNAPSHOT',
      message: expect.stringMatching(/needs a writable qcow2 disk/),
      hint: expect.stringMatching(/this VM was attached/),
    });
    expect(await again.snapshotBlockers({ strategy: 'template' })).toContainEqual({
      reason: 'this VM was attached: its QEMU belongs to the program that started it',
      remedy: 'start it by boot()',
    });
    expect(qemu.exitCode).toBeNull();
  });

  it('tells when it ends, also callers that wait at that moment', async () => {
    const other = await startByHand('other-');
    await using vm = await attach({ qmp: at('other-qmp'), console: at('other-serial') });
    const waiting = expect(vm.console.expect('never')).rejects.toMatchObject({ code: 'CONSOLE_CLOSED' });
    const asked = expect(vm.qmp.waitFor('STOP')).rejects.toMatchObject({ code: 'QMP_LINK' });
    other.kill('SIGKILL');
    expect(await vm.ended).toMatchObject({
      code: 'QEMU_EXITED',
      message: expect.stringMatching(new RegExp(`^QEMU \\(pid ${other.pid}\\) ended`)),
    });
    await Promise.all([waiting, asked]);
    await expect(vm.exec('true')).rejects.toMatchObject({ code: 'QEMU_EXITED' });
  });
});
