import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, direct, type Vm } from '@qmpilot/core';
import { formatShutdown } from '@qmpilot/core/detect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTinyGuest, type TinyGuest } from '../../../support/tiny-guest.js';

let dir: string;
let files: TinyGuest;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-poweroff-test-'));
  files = await makeTinyGuest(dir);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** SysRq-o and SysRq-b skip the checks of reboot(2): the kernel takes its last step whether the machine can follow or not. */
async function bootTiny(append = '', qemuArguments: readonly string[] = []): Promise<Vm> {
  const guest = direct({
    name: 'tiny',
    ...files,
    append: `console=ttyS0 quiet ${append}`,
    cpus: 1,
    memoryMiB: 128,
    login: { prompt: /tiny# $/ },
  });
  const vm = await boot(guest, { qemuArguments });
  await vm.console.type(
    'busybox mkdir /proc; busybox mount -t proc proc /proc; echo 8 > /proc/sys/kernel/printk; echo "rea""dy"\n',
  );
  await vm.console.expect('ready', { timeout: '1m' });
  return vm;
}

const sysrq = (key: string) => `echo ${key} > /proc/sysrq-trigger\n`;

describe('a machine that stays on after the last step of its kernel', () => {
  it('is stalled, with that step as its phase', async () => {
    await using vm = await bootTiny('acpi=off');
    const report = vm.poweroff({ via: 'none', timeout: '40s' });
    await vm.console.type(sysrq('o'));
    expect(await report).toMatchObject({
      outcome: 'stalled',
      end: 'running',
      phase: 'power-off',
      shutdownEvent: false,
      finding: { kind: 'poweroff-stall', phase: 'power-off' },
    });
    expect(formatShutdown(await report)).not.toContain('the machine is off');
  });

  it('is clean where the machine is off, also when its QEMU stays', async () => {
    await using vm = await bootTiny('', ['-no-shutdown']);
    const report = vm.poweroff({ via: 'none', timeout: '1m' });
    await vm.console.type(sysrq('o'));
    expect(await report).toMatchObject({ outcome: 'clean', end: 'off', shutdownEvent: true });
  });
});
