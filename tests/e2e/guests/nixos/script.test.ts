import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, nixos, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeStartScript } from '../../../nix/start-script.js';
import { leftovers, leftoversSince } from '../../../support/leftovers.js';

let dir: string;
let before: readonly string[];
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-nixos-test-'));
  before = leftovers();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('a guest started by a script with the interface of qemu-vm.nix, root on a disk', () => {
  let vm: Vm;
  beforeAll(async () => {
    await writeStartScript(dir, { emptyDisk: 'on' });
    vm = await boot(nixos({ script: dir, env: { QEMU_NET_OPTS: 'restrict=on' } }));
  });
  afterAll(() => vm?.close());

  it('boots, and takes its facts from QEMU', async () => {
    expect(vm.facts).toMatchObject({
      machine: expect.stringMatching(/^pc-i440fx/),
      cpu: 'max',
      cpus: 2,
      memoryMiB: 768,
    });
    expect(vm.facts.commandLine.join(' ')).toContain('-netdev user,id=user.0,restrict=on');
    expect((await vm.exec('nproc; findmnt -no FSTYPE /; cat /proc/cmdline')).stdout).toMatch(
      /^2\next4\n.*console=ttyS0,115200n8 qmpilot\.driven=1\n$/,
    );
    await vm.console.type('echo "$(tty) of $(id -un)"\n');
    expect((await vm.console.expect(/\/dev\/\S+ of root/)).text).toBe('/dev/ttyS0 of root');
  });

  it('is saved, restored and forked as its script described it: RAM and both disks', async () => {
    await vm.expectOk(
      'mkfs.ext4 -q /dev/vdb; mkdir -p /mnt; mount /dev/vdb /mnt; echo one | tee /root/state /run/state /mnt/state; sync',
    );
    await vm.snapshot('one');
    await vm.expectOk('echo two | tee /root/state /run/state /mnt/state; sync');
    const fork = await vm.fork('one');
    try {
      expect((await fork.exec('cat /root/state /run/state /mnt/state')).stdout).toBe('one\none\none\n');
      expect(fork.facts.commandLine.join(' ')).toMatch(
        /-machine accel=kvm:tcg -cpu max -name nixos -m 768 .*-device virtio-keyboard -usb .*-nographic .*-incoming defer/,
      );
      await fork.expectOk('echo three > /root/state; sync');
    } finally {
      await fork.close();
    }
    expect((await vm.exec('cat /root/state')).stdout).toBe('two\n');
    await vm.restore('one');
    expect((await vm.exec('cat /root/state /run/state /mnt/state')).stdout).toBe('one\none\none\n');
    expect((await vm.exec('ip -o link show ens3 | grep -c UP')).stdout).toBe('1\n');
  });

  it('is saved again after a restore, and inside its own QEMU on its qcow2 disks', async () => {
    await vm.expectOk('echo inside > /run/state');
    await vm.snapshot('inside', { strategy: 'internal' });
    await vm.expectOk('echo gone > /run/state');
    await vm.restore('inside');
    expect((await vm.exec('cat /run/state')).stdout).toBe('inside\n');
    await vm.snapshot('two');
    await vm.restore('two');
    expect((await vm.exec('cat /run/state')).stdout).toBe('inside\n');
  });

  it('powers off', async () => {
    expect(await vm.poweroff({ timeout: '1m' })).toMatchObject({ outcome: 'clean', shutdownReason: 'guest-shutdown' });
  });
});

describe('a guest without the module: root on tmpfs, a serial port of its own in front, a getty on hvc0', () => {
  let vm: Vm;
  const log = () => join(dir, 'their-serial.log');
  beforeAll(async () => {
    const script = await writeStartScript(join(dir, 'tmpfs'), {
      root: 'tmpfs',
      graphics: 'on',
      module: 'off',
      options: `-serial file:${log()} -vga none`,
    });
    vm = await boot(nixos({ script }));
  });
  afterAll(() => vm?.close());

  it('is driven by shells that were started from its root prompt, on a console beside its own', async () => {
    expect(
      (
        await vm.exec(
          'findmnt -no FSTYPE /; findmnt -no FSTYPE /store 2>/dev/null; systemctl show -p DefaultDependencies --value qmpilot-shell-hvc0.service',
        )
      ).stdout,
    ).toBe('overlay\nno\n');
    // Not a login session, which the shutdown would end.
    expect((await vm.exec('cat /proc/self/cgroup')).stdout).toBe('0::/system.slice/qmpilot-shell-hvc0.service\n');
    await vm.console.type('tty\n');
    await vm.console.expect('/dev/hvc4');
    expect(readFileSync(log(), 'utf8')).toContain('Linux version');
  });

  it('is saved and forked; the fork does not write to what the first one has on the host', async () => {
    await vm.expectOk('echo memory > /root/state');
    await vm.snapshot('one');
    const size = readFileSync(log()).length;
    const fork = await vm.fork('one');
    try {
      await fork.expectOk('echo loud > /dev/ttyS0');
      expect((await fork.exec('cat /root/state')).stdout).toBe('memory\n');
    } finally {
      await fork.close();
    }
    expect(readFileSync(log()).length).toBe(size);
  });

  it('stalls and ends like any other: a shell answers while the shutdown runs', async () => {
    await vm.expectOk(
      'systemd-run -q --unit=stubborn -p TimeoutStopSec=60 bash -c \'trap "" TERM; while :; do sleep 1; done\'; sleep 1',
    );
    const running = vm.exec(
      'until systemctl list-jobs | grep -q "stubborn.service *stop"; do sleep 0.2; done; sleep 1; echo over',
      { timeout: '1m' },
    );
    const report = await vm.poweroff({ timeout: '15s' });
    expect(report).toMatchObject({ outcome: 'stalled', finding: { unit: 'stubborn.service' } });
    expect((await running).stdout).toBe('over\n');
    expect((await vm.exec('echo alive')).stdout).toBe('alive\n');
  });
});

describe('a guest in which nobody is logged in', () => {
  it('is up when the module’s shells answer and the console asks for a login', async () => {
    const script = await writeStartScript(join(dir, 'no-login'), { root: 'tmpfs', autologin: 'off' });
    await using vm = await boot(nixos({ script }));
    expect((await vm.exec('echo alive; who')).stdout).toBe('alive\n');
  });

  it('is given up with a hint when there is no module either', async () => {
    const script = await writeStartScript(join(dir, 'no-way-in'), { root: 'tmpfs', autologin: 'off', module: 'off' });
    await expect(boot(nixos({ script }))).rejects.toMatchObject({
      code: 'SHELL_LOST',
      message: expect.stringMatching(/the serial console asks for a login, and no console shell answers/),
    });
  });
});

it('leaves nothing behind, of the script either', () => {
  expect(leftoversSince(before)).toEqual([]);
  expect(existsSync(join(dir, 'nixos.qcow2'))).toBe(false);
});
