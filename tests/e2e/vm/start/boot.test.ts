import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { boot, debian, isQmpilotError, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leftovers, leftoversSince } from '../../../support/leftovers.js';

const CORE = fileURLToPath(new URL('../../../../packages/core/dist/index.js', import.meta.url));

/** Root may write to files that are read-only; without that right it meets what a plain user meets. */
const AS_PLAIN_USER = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : [];

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

describe('a Debian guest', () => {
  let vm: Vm;
  beforeAll(async () => {
    vm = await boot(debian({ defect: 'io-uring-unlocked-flush' }));
  });
  afterAll(() => vm.close());

  it('runs commands with exit code and both outputs, while the kernel floods the serial console', async () => {
    await vm.exec('(for i in $(seq 300); do echo "<1>noise $i" > /dev/kmsg; done) &');
    const result = await vm.exec('echo out; echo err >&2; exit 7');
    expect(result).toMatchObject({ exitCode: 7, stdout: 'out\n', stderr: 'err\n' });
    await vm.console.expect('noise 300');
  });

  it('lets packages that are installed later start their services', async () => {
    expect((await vm.expectFail('ls /usr/sbin/policy-rc.d')).stderr).toContain('No such file');
  });

  it('has programs at the same addresses and no drivers for features of the CPU when it is emulated', async ({
    skip,
  }) => {
    if (vm.facts.accelerator.accelerator !== 'tcg') skip('the guest is not emulated');
    const { stdout } = await vm.expectOk('cat /proc/sys/kernel/randomize_va_space; lsmod');
    // QEMU 9 translates a program once, whatever its address.
    const fixed = Number.parseInt(vm.facts.qemu.version, 10) < 9;
    expect(stdout.split('\n')[0]).toBe(fixed ? '0' : '2');
    expect(stdout).toContain('virtio_blk');
    expect(stdout).not.toMatch(/^(?:kvm|aesni_intel|cryptd) /m);
    // By name they are loaded as ever.
    await vm.expectOk('modprobe crc32c_intel && lsmod | grep -q ^crc32c_intel');
    // A file of the user's, which systemd reads in each boot, turns random addresses on.
    await vm.expectOk('echo kernel.randomize_va_space=2 > /etc/sysctl.d/random.conf; systemctl restart systemd-sysctl');
    expect((await vm.expectOk('cat /proc/sys/kernel/randomize_va_space')).stdout).toBe('2\n');
    await vm.expectOk('rm /etc/sysctl.d/random.conf; sysctl -q -w kernel.randomize_va_space=0');
    const units = ['systemd-logind', 'systemd-udevd', 'systemd-journald', 'dbus', 'user@0'].join(' ');
    await vm.expectOk(`systemctl is-active ${units}`);
  });

  it('has root logged in on the serial console', async () => {
    await vm.console.type('echo "uid $(id -u) on $(tty)"\n');
    expect((await vm.console.expect(/uid \d+ on \S+\n/)).text).toBe('uid 0 on /dev/ttyS0\n');
  });

  it('restores RAM, disk and the program on the serial console; shells and console continue', async () => {
    await vm.expectOk('echo ram > /run/nonce; echo disk > /root/nonce');
    await vm.console.type('VARIABLE=kept\n');
    await vm.snapshot('one');
    const boot1 = (await vm.exec('cat /proc/sys/kernel/random/boot_id')).stdout;
    for (let round = 0; round < 3; round += 1) {
      await vm.expectOk('echo changed > /run/nonce; echo changed > /root/nonce; sync');
      await vm.restore('one');
      expect((await vm.exec('cat /run/nonce /root/nonce')).stdout).toBe('ram\ndisk\n');
      expect((await vm.exec('cat /proc/sys/kernel/random/boot_id')).stdout).toBe(boot1);
      await vm.console.type('echo "variable=$VARIABLE"\n');
      await vm.console.expect('variable=kept');
    }
  });

  it("sets the guest's clock to the host's after a restore", async () => {
    const before = Date.now();
    await vm.restore('one');
    const shown = await vm.samplingShell.exec('date +%s.%N');
    expect(Number(shown.stdout) * 1000).toBeGreaterThan(before - 1000);
    expect(Number(shown.stdout) * 1000).toBeLessThan(Date.now() + 1000);
  });

  it('takes a snapshot of a restored guest, and keeps both apart', async () => {
    await vm.restore('one');
    await vm.expectOk('echo second > /run/nonce; echo second > /root/nonce');
    await vm.snapshot('two');
    await vm.restore('one');
    expect((await vm.exec('cat /run/nonce /root/nonce')).stdout).toBe('ram\ndisk\n');
    await vm.restore('two');
    expect((await vm.exec('cat /run/nonce /root/nonce')).stdout).toBe('second\nsecond\n');
  });

  it('forks into independent guests that never write to the snapshot', async () => {
    const forks = await vm.fork('one', { count: 2 });
    const ram = forks[0]?.facts.commandLine.join(' ').match(/mem-path=([^,]+)/)?.[1] ?? '';
    const before = await sha256(ram);
    try {
      await Promise.all(forks.map((fork, index) => fork.expectOk(`echo ${index} > /root/nonce; sync`)));
      const seen = await Promise.all(
        forks.map((fork) => fork.exec('cat /root/nonce /run/nonce; od -An -N8 -tx8 /dev/urandom')),
      );
      expect(seen.map(({ stdout }) => stdout.split('\n').slice(0, 2))).toEqual([
        ['0', 'ram'],
        ['1', 'ram'],
      ]);
      expect(seen[0]?.stdout.split('\n')[2]).not.toBe(seen[1]?.stdout.split('\n')[2]);
      expect(await sha256(ram)).toBe(before);
    } finally {
      await Promise.all(forks.map((fork) => fork.close()));
    }
  });

  it('keeps and restores an internal snapshot, and says why it cannot after that QEMU has gone', async () => {
    await vm.expectOk('echo inside > /run/nonce');
    await vm.snapshot('inside', { strategy: 'internal' });
    await vm.expectOk('echo changed > /run/nonce');
    await vm.restore('inside');
    expect((await vm.exec('cat /run/nonce')).stdout).toBe('inside\n');
    expect(await vm.poweroff({ timeout: '1m' })).toMatchObject({
      outcome: expect.stringMatching(/clean|slow/),
      end: 'off',
    });
    await vm.restore('inside');
    expect((await vm.exec('cat /run/nonce; systemctl is-system-running')).stdout).toMatch(
      /^inside\nrunning|degraded\n$/,
    );
    await vm.exec('systemctl --no-block poweroff').catch(() => {});
    expect(await vm.ended).toMatchObject({
      code: 'QEMU_EXITED',
      message: expect.stringMatching(/the guest has powered off/),
    });
    await vm.restore('inside');
    expect((await vm.exec('cat /run/nonce')).stdout).toBe('inside\n');
    await vm.restore('one');
    await expect(vm.restore('inside')).rejects.toMatchObject({ code: 'SNAPSHOT' });
    expect((await vm.exec('cat /run/nonce')).stdout).toBe('ram\n');
  });

  it('gives the blocked tasks by SysRq', async () => {
    expect((await vm.sysrq('w')).join('\n')).toContain('Show Blocked State');
    await expect(vm.sysrq('b')).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('refuses names that are taken or unknown, and continues', async () => {
    await expect(vm.snapshot('one')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await expect(vm.restore('none')).rejects.toMatchObject({ code: 'NOT_FOUND', hint: expect.stringContaining('one') });
    expect((await vm.exec('true')).exitCode).toBe(0);
  });

  it('reports that QEMU died, and continues after a restore', async () => {
    process.kill(vm.pid, 'SIGKILL');
    expect(await vm.ended).toMatchObject({ code: 'QEMU_EXITED' });
    await expect(vm.exec('true')).rejects.toMatchObject({ code: 'QEMU_EXITED' });
    await vm.restore('one');
    expect((await vm.exec('cat /run/nonce')).stdout).toBe('ram\n');
  });

  it('powers off, and the report follows it to the end', async () => {
    const report = await vm.poweroff({ timeout: '1m' });
    expect(report).toMatchObject({
      outcome: expect.stringMatching(/clean|slow/),
      end: 'off',
      shutdownEvent: true,
      shutdownReason: 'guest-shutdown',
    });
    expect(report.phases.map(({ phase }) => phase)).toEqual(
      expect.arrayContaining(['requested', 'units', 'power-off', 'gone']),
    );
    await vm.restore('one');
    expect((await vm.exec('cat /run/nonce')).stdout).toBe('ram\n');
  });
});

describe('clean-up', () => {
  it('leaves no process and no file when a boot is aborted', async () => {
    const before = leftovers();
    const booting = boot(debian({ defect: 'io-uring-unlocked-flush' }), { signal: AbortSignal.timeout(3000) });
    expect(isQmpilotError(await booting.catch((error: unknown) => error), 'ABORTED')).toBe(true);
    expect(leftoversSince(before)).toEqual([]);
  });

  it('leaves no process and no file when a controller without root rights is killed by SIGKILL', async () => {
    const before = leftovers();
    const script = `import { boot, debian } from ${JSON.stringify(CORE)};
      const vm = await boot(debian({ defect: 'io-uring-unlocked-flush' }));
      await vm.snapshot('a');
      await vm.fork('a', { count: 2 });
      console.log('up');
      setInterval(() => {}, 1000);`;
    const [command, ...prefix] = [...AS_PLAIN_USER, process.execPath];
    const child = spawn(command, [...prefix, '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve, reject) => {
      child.stdout.once('data', resolve);
      child.once('exit', (code) => reject(new Error(`the controller ended with ${code}`)));
    });
    expect(leftoversSince(before).length).toBeGreaterThan(3);
    child.kill('SIGKILL');
    await expect.poll(() => leftoversSince(before), { timeout: 10_000 }).toEqual([]);
  });
});
