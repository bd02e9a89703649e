import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, debian, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nixosTableCalls } from '../../support/nixos-table.js';

/** Calls that have a test of their own, as they need another guest, a screen or much time. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'nixos': 'e2e/guests/nixos/script.test.ts',
  'vm.start': 'e2e/vm/power/start.test.ts',
  'vm.reboot': 'e2e/vm/power/reboot.test.ts',
  'vm.screenshot': 'e2e/vm/input/see-and-type.test.ts',
  'vm.keyboard.press': 'e2e/vm/input/see-and-type.test.ts',
  'vm.keyboard.type': 'e2e/vm/input/see-and-type.test.ts',
  'vm.waitForText': 'e2e/vm/input/see-and-type.test.ts',
  'vm.sysrq': 'e2e/vm/input/see-and-type.test.ts',
  'vm.stacks': 'e2e/vm/input/see-and-type.test.ts',
  'vm.explain': 'e2e/vm/inspect/explain.test.ts',
};

let dir: string;
let vm: Vm;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-nixos-driver-'));
  vm = await boot(debian({ ports: [8000] }), { cache: true });
});
afterAll(async () => {
  await vm?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** In this order, on one guest. */
const CALLS: Readonly<Record<string, () => Promise<void>>> = {
  'boot': async () => expect(vm.state).toBe('running'),
  'vm.expectOk': async () => {
    expect((await vm.expectOk('echo yes')).stdout).toBe('yes\n');
    await expect(vm.expectOk('echo why >&2; false')).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
  },
  'vm.expectFail': async () => {
    expect((await vm.expectFail('echo no; exit 3')).stdout).toBe('no\n');
    await expect(vm.expectFail('true')).rejects.toMatchObject({ code: 'COMMAND_SUCCEEDED' });
  },
  'vm.exec': async () => {
    expect(await vm.exec('echo out; exit 4')).toMatchObject({ exitCode: 4, stdout: 'out\n' });
    expect(await vm.exec('systemctl show -P ActiveState dbus')).toMatchObject({ stdout: 'active\n' });
    expect((await vm.exec('cat /dev/vcs1')).exitCode).toBe(0);
  },
  'vm.waitForFile': async () => {
    await vm.expectOk('systemd-run sh -c "sleep 1; touch /run/there"');
    await vm.waitForFile('/run/there');
    await vm.expectOk('rm /run/there');
    await vm.waitForFile('/run/there', { gone: true });
  },
  'vm.waitForUnit': async () => {
    await vm.expectOk(
      'mkdir -p /srv/www; echo page > /srv/www/page; systemd-run --unit web busybox httpd -f -p 8000 -h /srv/www',
    );
    await vm.waitForUnit('web.service');
  },
  'vm.waitForPort': async () => {
    await vm.waitForPort(8000);
    await vm.waitForPort(8001, { closed: true });
  },
  'vm.forward': async () => {
    const { url } = await vm.forward(8000);
    expect(await (await fetch(`${url}/page`, { headers: { connection: 'close' } })).text()).toBe('page\n');
  },
  'vm.waitForSocket': () => vm.waitForSocket('/run/systemd/notify'),
  'vm.waitForCommand': async () => {
    expect((await vm.waitForCommand('systemctl is-active web')).stdout).toBe('active\n');
    await vm.expectOk('systemctl stop web');
    await vm.waitForCommand('systemctl is-active web', { fails: true });
  },
  'vm.console.type': () => vm.console.type('echo typed $((6 * 7))\n'),
  'vm.console.expect': async () => {
    expect((await vm.console.expect(/typed 4\d/)).text).toBe('typed 42');
  },
  'vm.copyIn': async () => {
    writeFileSync(join(dir, 'file'), 'from the host\n');
    await vm.copyIn(join(dir, 'file'), '/root/file');
    expect((await vm.expectOk('cat /root/file')).stdout).toBe('from the host\n');
  },
  'vm.copyOut': async () => {
    await vm.copyOut('/root/file', join(dir, 'back'));
    expect(readFileSync(join(dir, 'back'), 'utf8')).toBe('from the host\n');
  },
  'vm.qmp.hmp': async () => expect(await vm.qmp.hmp('info status')).toContain('running'),
  'vm.qmp.execute': async () => {
    const carrier = 'cat /sys/class/net/e*/carrier';
    await vm.qmp.execute('set_link', { name: 'net0', up: false });
    await vm.waitForCommand(`test $(${carrier}) = 0`);
    await vm.qmp.execute('set_link', { name: 'net0', up: true });
    await vm.waitForCommand(`test $(${carrier}) = 1`);
  },
  'vm.watch': async () => {
    const watch = vm.watch();
    await vm.expectOk('echo "<1>watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [test:1]" > /dev/kmsg');
    expect(await watch.first({ kind: 'soft-lockup' })).toMatchObject({ kind: 'soft-lockup' });
    await watch.stop();
  },
  'vm.diagnose': async () => {
    expect(await vm.diagnose()).toMatchObject({ console: expect.any(Array) });
  },
  'vm.snapshot': async () => {
    await vm.snapshot('here');
    await vm.expectOk('rm /root/file');
  },
  'vm.restore': async () => {
    await vm.restore('here');
    await vm.expectOk('test -e /root/file');
  },
  'vm.fork': async () => {
    await using fork = await vm.fork('here');
    await fork.expectOk('rm /root/file');
    await vm.expectOk('test -e /root/file');
  },
  'vm.poweroff': async () => {
    await vm.expectOk('systemd-run --on-active=1 --timer-property=AccuracySec=100ms systemctl poweroff');
    expect(await vm.poweroff({ via: 'none' })).toMatchObject({ end: 'off' });
  },
  'vm.close': () => vm.close(),
};

describe('the calls for those who come from the NixOS test driver, on a guest', () => {
  it.each(Object.entries(CALLS))('%s', (_, call) => call());
});

it('are all that the table names', () => {
  expect([...Object.keys(CALLS), ...Object.keys(ELSEWHERE)].toSorted()).toEqual(nixosTableCalls().toSorted());
});

it.each(Object.entries(ELSEWHERE))('%s is called in another test: %s', (call, file) => {
  const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
  expect(text).toContain(`${call.includes('.') ? '.' : ''}${call.slice(call.lastIndexOf('.') + 1)}(`);
});
