import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { boot, direct, type Vm } from '@qmpilot/core';
import { prepareRootfs } from '@qmpilot/core/guests';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` };
/** As docs/how-to/prepare-a-root-file-system.md has it. */
const PACKAGES = 'linux-image-cloud-amd64,systemd-sysv,dbus,udev,e2fsprogs';

/** Installs a whole Debian; only root gets a folder whose files belong to the guest's root. */
const wanted = process.env['QMPILOT_TEST_FULL'] === '1' && process.getuid?.() === 0;

describe.runIf(wanted)('a root file system that plain mmdebstrap made', () => {
  let dir: string;
  let vm: Vm;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'qmpilot-rootfs-'));
    const [tree, file] = [join(dir, 'rootfs'), join(dir, 'root.raw')];
    await run('mmdebstrap', [`--include=${PACKAGES}`, 'trixie', tree], { env, maxBuffer: 1 << 26 });
    await prepareRootfs(tree);
    await run('mke2fs', ['-q', '-t', 'ext4', '-d', tree, file, '4G'], { env });
    const guest = direct({
      name: 'mine',
      kernel: join(tree, 'vmlinuz'),
      initrd: join(tree, 'initrd.img'),
      append: 'root=/dev/vda rw console=ttyS0 sysrq_always_enabled=1',
      disks: [{ id: 'root', file, format: 'raw' }],
      memoryMiB: 1024,
      virtioConsoles: ['hvc0', 'hvc1', 'hvc2', 'hvc3'],
      shell: 'hvc0',
      samplingShell: 'hvc1',
      spareConsoles: ['hvc2', 'hvc3'],
      login: { prompt: /# $/ },
    });
    // QEMU before 8.1 now and then crashes this kernel on several CPUs.
    vm = await boot(guest, { cpus: 1 });
  });
  afterAll(async () => {
    await vm?.close();
    await rm(dir, { recursive: true, force: true });
  });

  it('boots, and has a root shell on the virtio consoles and on the serial console', async () => {
    const { stdout } = await vm.expectOk(
      '. /etc/os-release; echo $VERSION_CODENAME; uname -r; id -un; findmnt -no SOURCE /',
    );
    expect(stdout).toMatch(/^trixie\n6\.12\.\S+\nroot\n\/dev\/vda\n$/);
    for (const via of ['console', 'serial'] as const)
      expect((await vm.expectOk('echo answers', { via })).stdout).toBe('answers\n');
    const shell = await vm.openShell();
    expect((await shell.exec('systemctl is-active qmpilot-shell@hvc1.service')).stdout).toBe('active\n');
    shell.close();
  });

  it('is the same in a fork of a snapshot', async () => {
    await vm.expectOk('echo one > /root/state; sync');
    await vm.snapshot('one');
    await vm.expectOk('echo two > /root/state; sync');
    await using fork = await vm.fork('one');
    expect((await fork.expectOk('cat /root/state')).stdout).toBe('one\n');
    expect((await vm.expectOk('cat /root/state')).stdout).toBe('two\n');
    await vm.restore('one');
    expect((await vm.expectOk('cat /root/state')).stdout).toBe('one\n');
  });

  it('powers off', async () => {
    expect(await vm.poweroff()).toMatchObject({ end: 'off' });
  });
});
