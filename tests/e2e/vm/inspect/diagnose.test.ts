import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, debian, direct, type GuestDescription, type Vm } from '@qmpilot/core';
import { formatShutdown } from '@qmpilot/core/detect';
import type { PreparedGuest } from '@qmpilot/core/guests';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeTinyGuest } from '../../../support/tiny-guest.js';

function changed(change: (guest: PreparedGuest) => PreparedGuest): GuestDescription {
  const description = debian();
  return { ...description, prepare: async (context) => change(await description.prepare(context)) };
}

describe('a guest of which nothing is heard', () => {
  let vm: Vm;
  beforeAll(async () => {
    vm = await boot(debian(), { cache: true });
    await vm.snapshot('ready', { reboots: true });
  });
  beforeEach(() => vm.restore('ready'));
  afterAll(() => vm.close());

  it('is alive while its console shell answers, and stopped while QEMU does not run it', async () => {
    await vm.exec('true');
    expect(await vm.diagnose({ quiet: '1s' })).toMatchObject({
      state: 'alive',
      signs: { runState: 'running', shellAnswers: true },
    });
    await vm.pause();
    expect(await vm.diagnose({ shellTimeout: '1s' })).toMatchObject({
      state: 'stopped',
      reason: expect.stringContaining('paused'),
    });
    await vm.resume();
  });

  it('spins, when all its CPUs are taken for good', async () => {
    // The kernel reports the stall of RCU on its console, which is a sign of life: not in between here.
    await vm.expectOk(
      'echo 1 > /sys/module/rcupdate/parameters/rcu_cpu_stall_suppress; echo -1 > /proc/sys/kernel/sched_rt_runtime_us',
    );
    await vm
      .exec("for i in 1 2 3; do chrt -f 99 bash -c 'while :; do :; done' </dev/null >/dev/null 2>&1 & done")
      .catch(() => {});
    const found = await vm
      .watch({ kernelLog: false, hungTask: false, silence: { for: '3s' } })
      .first({ kind: 'silence', timeout: '60s' });
    expect(found).toMatchObject({ title: 'guest silent: virtual CPUs spin', signature: 'silence: spinning' });
    expect(await vm.diagnose({ quiet: '1s', shellTimeout: '2s' })).toMatchObject({
      state: 'spinning',
      signs: { shellAnswers: false },
    });
  });

  it('is reported as panicked, from its console and pvpanic, also by a poweroff', async () => {
    const off = vm.poweroff({ via: 'none', timeout: '1m' });
    await vm.console.type('echo c > /proc/sysrq-trigger\n');
    const report = await off;
    expect(report).toMatchObject({ outcome: 'panicked', reason: expect.stringContaining('sysrq triggered crash') });
    expect(formatShutdown(report)).toMatch(/^poweroff: panicked: the kernel panicked/);
    expect(await vm.diagnose({ shellTimeout: '1s' })).toMatchObject({
      state: 'panicked',
      reason: expect.stringMatching(/^the guest told QEMU that its kernel panicked: .*sysrq triggered crash/),
      signs: { pvpanic: true },
    });
  });

  it('is rebooted, when that was asked for', async () => {
    expect(await vm.poweroff({ wanted: 'reboot', timeout: '1m', slowAfter: '1m' })).toMatchObject({
      outcome: 'clean',
      wanted: 'reboot',
      end: 'rebooted',
    });
  });

  it('has no QEMU any more', async () => {
    process.kill(vm.pid, 'SIGKILL');
    await vm.ended;
    expect(await vm.diagnose()).toMatchObject({ state: 'qemu-gone', reason: 'QEMU was killed by SIGKILL' });
  });

  it('prints the output of SysRq on its keyboard', async () => {
    expect((await vm.sysrq('m', { via: 'keyboard' })).join('\n')).toContain('Mem-Info:');
  });

  it('ends what can be killed, and says so', async () => {
    const { stdout } = await vm.exec('sleep 1000 </dev/null >/dev/null 2>&1 & echo $!');
    expect(await vm.kill(Number(stdout), { after: '500ms' })).toEqual([]);
    expect((await vm.exec(`kill -0 ${stdout}`)).exitCode).not.toBe(0);
  });
});

it('a stuck thread is found by SysRq on the keyboard in a guest without a shell for the detectors', async () => {
  const guest = changed(({ samplingShell, ...rest }) => (expect(samplingShell).toBe('hvc1'), rest));
  await using vm = await boot(guest);
  await vm.expectOk(
    'modprobe loop; truncate -s 16M /run/disk; mke2fs -q /run/disk; mount -o loop /run/disk /mnt; fsfreeze -f /mnt',
  );
  await vm.exec('touch /mnt/stuck </dev/null >/dev/null 2>&1 &');
  const found = await vm
    .watch({ hungTask: false, kernelLog: false, dState: { comm: /^touch$/, for: '5s' } })
    .first({ timeout: '90s' });
  expect(found).toMatchObject({ kind: 'd-state', task: { comm: 'touch' } });
  expect(found.stack?.length).toBeGreaterThan(3);
});

it('a boot whose kernel panics because of another failure ends at once, and names both', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'qmpilot-oops-'));
  // An oops of Linux 6.12 under TCG, through the log of a kernel that is well.
  const oops = [
    'Oops: general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] PREEMPT SMP PTI',
    'CPU: 1 UID: 0 PID: 2 Comm: kthreadd Not tainted 6.12.95+deb12-cloud-amd64 #1  Debian 6.12.95-1~bpo12+1',
    'RIP: 0010:kmem_cache_alloc_noprof+0xc3/0x2f0',
    'Call Trace:',
    ' <TASK>',
    ' copy_process+0x1e8/0x1b60',
    ' kernel_clone+0xbd/0x440',
    ' kthreadd+0x1d8/0x280',
    ' </TASK>',
    '---[ end trace 0000000000000000 ]---',
    'Kernel panic - not syncing: Fatal exception in interrupt',
    '---[ end Kernel panic - not syncing: Fatal exception in interrupt ]---',
  ];
  const init = `#!/bin/busybox sh
busybox mount -t devtmpfs dev /dev
while read -r line; do echo "<1>$line" > /dev/kmsg; done << 'END'
${oops.join('\n')}
END
busybox sleep 100000
`;
  try {
    const files = await makeTinyGuest(dir, { oops: Buffer.from(init) });
    const append = 'console=ttyS0 rdinit=/oops printk.devkmsg=on';
    const guest = direct({ name: 'oops', ...files, append, cpus: 1, memoryMiB: 128, login: { prompt: /tiny# $/ } });
    await expect(boot(guest, { timeout: '10m' })).rejects.toMatchObject({
      code: 'SHELL_LOST',
      message:
        "the guest's kernel panicked during the boot: general protection fault in copy_process (kernel panic: Fatal exception in interrupt)",
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

it('a boot that does not come up says where it got stuck', async () => {
  const guest = changed((prepared) => ({
    ...prepared,
    ...(prepared.kernel && { kernel: { ...prepared.kernel, append: 'root=/dev/nothing console=ttyS0 rootdelay=300' } }),
  }));
  const error: unknown = await boot(guest, { timeout: '20s' }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({
    code: 'TIMEOUT',
    message: expect.stringMatching(/boot got stuck at the (?:initramfs|kernel), before/),
    evidence: { stage: expect.any(String), state: expect.any(String) },
  });
});
