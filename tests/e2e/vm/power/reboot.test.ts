import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { boot, debian, defineScenario, runScenario, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

let vm: Vm;

beforeAll(async () => {
  vm = await boot(debian(), { cache: true });
  await vm.snapshot('no-kernel');
  await vm.snapshot('ready', { reboots: true });
});
beforeEach(() => vm.restore('ready'));
afterAll(() => vm?.close());

const uptime = async () => Number((await vm.exec('cut -d" " -f1 /proc/uptime')).stdout);

describe('a guest that reboots', () => {
  it('rejects what ran in its shells, and has its prompt and all shells again', async () => {
    await vm.expectOk('touch /run/before');
    const running = vm.exec('sleep 1000').catch((error: unknown) => error);
    expect(await vm.reboot()).toMatchObject({ end: 'rebooted', outcome: expect.stringMatching(/^(?:clean|slow)$/) });
    expect(await running).toMatchObject({
      code: 'SHELL_LOST',
      message: expect.stringContaining('the guest was reset'),
    });
    expect((await vm.exec('test ! -e /run/before')).exitCode).toBe(0);
    expect((await vm.samplingShell.exec('echo here')).stdout).toBe('here\n');
    expect(vm.state).toBe('running');
  });

  it('answers the next command after a reset that nobody waited for, and powers off without a false stall', async () => {
    const before = await uptime();
    await vm.qmp.execute('system_reset');
    await vm.qmp.waitFor('RESET', { timeout: '30s' }).catch(() => {});
    const report = await vm.exec('true').then(() => vm.poweroff({ timeout: '3m' }));
    expect(before).toBeGreaterThan(0);
    expect(report).toMatchObject({ end: 'off', outcome: expect.stringMatching(/^(?:clean|slow)$/) });
    expect(report).not.toHaveProperty('finding');
  });

  it('refuses to reboot a guest that cannot come up again', async () => {
    await vm.restore('no-kernel');
    const refused = { code: 'USAGE', hint: expect.stringContaining('reboots: true') };
    await expect(vm.reboot()).rejects.toMatchObject(refused);
    await expect(vm.poweroff({ wanted: 'reboot' })).rejects.toMatchObject(refused);
    expect((await vm.exec('true')).exitCode).toBe(0);
  });
});

it('reboots in the attempts of a scenario that says so', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'qmpilot-reboots-'));
  try {
    const seen: string[] = [];
    const scenario = defineScenario({
      guest: debian(),
      boot: { cache: true },
      reboots: true,
      prepare: async (guest) => void (await guest.expectOk('touch /run/before /root/kept')),
      attempt: async (guest) => {
        await guest.reboot();
        seen.push((await guest.exec('ls /run/before /root/kept 2>/dev/null')).stdout);
      },
    });
    expect(await runScenario(scenario, { attempts: 1, dir: join(dir, 'run') })).toMatchObject({ clean: 1 });
    expect(seen).toEqual(['/root/kept\n']);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

describe('a VM whose QEMU has ended', () => {
  it('gives the one reason from every method, and runs again after a restore', async () => {
    expect(vm.state).toBe('running');
    expect(inspect(vm)).toMatch(
      /^Vm \{\s+name: 'debian-\d+',\s+state: 'running',\s+guest: 'debian',\s+accelerator: '\w+'/,
    );
    await vm.pause();
    expect(vm.state).toBe('paused');
    await vm.resume();
    const killed = { code: 'QEMU_EXITED', message: expect.stringMatching(/^QEMU \(pid \d+\) was killed by SIGKILL$/) };
    const during = [vm.exec('sleep 1000'), vm.waitForPort(9), vm.watch().first()].map((work) =>
      work.catch((error: unknown) => error),
    );
    const { ended } = vm;
    await vm.exec('true', { via: 'guest-agent' });
    process.kill(vm.pid, 'SIGKILL');
    for (const error of await Promise.all(during)) expect(error).toMatchObject(killed);
    expect(await ended).toMatchObject(killed);
    const after = [vm.exec('true'), vm.snapshot('late'), vm.screenshot(), vm.sysrq('w'), vm.poweroff(), vm.pause()];
    for (const one of await Promise.allSettled(after))
      expect(one).toMatchObject({ status: 'rejected', reason: killed });
    expect(vm.state).toBe('exited');
    await vm.restore('ready');
    expect((await vm.exec('true')).exitCode).toBe(0);
    expect(vm.state).toBe('running');
  });

  it('is off after a requested poweroff, and reports since when', async () => {
    const waiting = vm.waitForPort(9, { timeout: '5m' }).catch((error: unknown) => error);
    expect(await vm.poweroff()).toMatchObject({ end: 'off' });
    const off = { code: 'CLOSED', message: expect.stringMatching(/^the guest of \S+ has been off since \d\d:\d\d$/) };
    expect(await waiting).toMatchObject(off);
    const after = [vm.exec('true'), vm.poweroff(), vm.snapshot('late')];
    for (const one of await Promise.allSettled(after)) expect(one).toMatchObject({ status: 'rejected', reason: off });
    expect(vm.state).toBe('off');
  });

  it('is reported as killed when that happens during a poweroff, and has ended', async () => {
    const { ended } = vm;
    process.kill(vm.pid, 'SIGKILL');
    const outcome = await vm.poweroff().catch((error: unknown) => error);
    expect(await ended).toMatchObject({ code: 'QEMU_EXITED' });
    if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'QEMU_EXITED' });
    else expect(outcome).toMatchObject({ outcome: 'killed' });
  });
});
