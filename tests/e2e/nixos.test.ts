import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { boot, nixos, type Vm } from '@qmpilot/core';
import { writeStartScript } from '../nix/start-script.js';
import { leftovers, leftoversSince } from './leftovers.js';

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

  it('boots, and says of itself what QEMU says, not what we think', async () => {
    expect(vm.facts).toMatchObject({ machine: expect.stringMatching(/^pc-i440fx/), cpu: 'max', cpus: 2, memoryMiB: 768 });
    expect(vm.facts.commandLine.join(' ')).toContain('-netdev user,id=user.0,restrict=on');
    expect((await vm.exec('nproc; findmnt -no FSTYPE /; cat /proc/cmdline')).stdout).toMatch(/^2\next4\n.*console=ttyS0,115200n8 qmpilot\.driven=1\n$/);
    await vm.console.type('echo "$(tty) of $(id -un)"\n');
    expect((await vm.console.expect(/\/dev\/\S+ of root/)).text).toBe('/dev/ttyS0 of root');
  });

  it('powers off', async () => {
    expect(await vm.poweroff({ timeout: '1m' })).toMatchObject({ outcome: 'clean', shutdownReason: 'guest-shutdown' });
  });
});

describe('a guest that knows nothing of us: root on tmpfs, a serial port of its own in front, no units of ours', () => {
  let vm: Vm;
  const log = () => join(dir, 'their-serial.log');
  beforeAll(async () => {
    const script = await writeStartScript(join(dir, 'tmpfs'), { root: 'tmpfs', graphics: 'on', options: `-serial file:${log()} -vga none` });
    const masked = ['hvc0', 'hvc1'].map((console) => `systemd.mask=qmpilot-shell@${console}.service`);
    vm = await boot(nixos({ script, kernelParameters: masked }));
  });
  afterAll(() => vm?.close());

  it('is driven by shells that were started from its root prompt, on a console beside its own', async () => {
    expect((await vm.exec('findmnt -no FSTYPE /; findmnt -no FSTYPE /store 2>/dev/null; systemctl show -p DefaultDependencies --value qmpilot-shell-hvc0.service')).stdout).toBe('overlay\nno\n');
    await vm.console.type('tty\n');
    await vm.console.expect('/dev/hvc4');
    expect(readFileSync(log(), 'utf8')).toContain('Linux version');
  });

  it('stalls and ends like any other: a shell answers while the shutdown runs', async () => {
    await vm.expectOk("systemd-run -q --unit=stubborn -p TimeoutStopSec=60 bash -c 'trap \"\" TERM; while :; do sleep 1; done'; sleep 1");
    const report = await vm.poweroff({ timeout: '15s' });
    expect(report).toMatchObject({ outcome: 'stalled', finding: { unit: 'stubborn.service' } });
    expect((await vm.exec('echo alive')).stdout).toBe('alive\n');
  });
});

it('leaves nothing behind, of the script either', () => {
  expect(leftoversSince(before)).toEqual([]);
  expect(existsSync(join(dir, 'nixos.qcow2'))).toBe(false);
});
