import { lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, debian, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-share-'));
  for (const name of ['in server', 'out']) mkdirSync(join(dir, name));
  writeFileSync(join(dir, 'in server', 'file'), 'from the host\n');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it('a folder that is not there, and two at one place, are refused before the boot', async () => {
  const image = { host: join(dir, 'missing'), guest: '/mnt/src' };
  await expect(debian({ share: [image] }).prepare()).rejects.toThrow(/share: .*missing is not a folder/);
  const twice = [
    { host: dir, guest: '/mnt/src' },
    { host: dir, guest: '/mnt/src' },
  ];
  await expect(debian({ share: twice }).prepare()).rejects.toThrow(/two folders of the host/);
});

it('a kernel without 9p is refused before the boot', async () => {
  const guest = debian({ kernel: 'linux-image-6.12-cloud-amd64', share: [{ host: dir, guest: '/mnt/src' }] });
  await expect(guest.prepare()).rejects.toThrow(/lacks CONFIG_9P_FS=y, CONFIG_NET_9P_VIRTIO=y/);
});

// It fetches a large kernel package and boots twice.
describe.runIf(process.env['QMPILOT_TEST_FULL'] === '1')('a guest with folders of the host', () => {
  let vm: Vm;
  beforeAll(async () => {
    vm = await boot(
      debian({
        share: [
          { host: join(dir, 'in server'), guest: '/mnt/my src' },
          { host: join(dir, 'out'), guest: '/mnt/out', writable: true },
        ],
      }),
    );
  });
  afterAll(() => vm?.close());

  it('reads them, and writes only where it may', async () => {
    expect((await vm.expectOk('cat "/mnt/my src/file"')).stdout).toBe('from the host\n');
    expect((await vm.expectFail('touch "/mnt/my src/x"')).stderr).toMatch(/Read-only file system/);
    await vm.expectOk('echo from the guest > /mnt/out/file; ln -s /etc/passwd /mnt/out/link');
    expect(readFileSync(join(dir, 'out', 'file'), 'utf8')).toBe('from the guest\n');
    expect(lstatSync(join(dir, 'out', 'link')).isSymbolicLink()).toBe(false);
  });

  it('can be saved only without them, and forks can mount them again', async () => {
    const [blocker] = await vm.snapshotBlockers();
    expect(blocker?.reason).toMatch(/mounted in the guest using mount_tag/);
    expect(blocker?.remedy).toMatch(/unmount the shared folder/);
    await vm.expectOk('umount "/mnt/my src" /mnt/out');
    expect(await vm.snapshotBlockers()).toEqual([]);
    await vm.snapshot('without');
    await using fork = await vm.fork('without');
    expect((await fork.expectOk('mount "/mnt/my src" && cat "/mnt/my src/file"')).stdout).toBe('from the host\n');
  });

  it('has them again after it was off', async () => {
    await vm.poweroff();
    await vm.start();
    expect((await vm.expectOk('cat "/mnt/my src/file"')).stdout).toBe('from the host\n');
  });
});
