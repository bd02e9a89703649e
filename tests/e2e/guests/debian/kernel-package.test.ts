import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { boot, debian, type GuestDescription, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchKernelPackage } from '../../../support/kernel-package.js';

describe('a kernel as a .deb, of another release of Debian than the image', () => {
  let dir: string;
  let prepared: string | undefined;
  let release: string;
  let vm: Vm;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'qmpilot-kernel-package-'));
    const kernel = await fetchKernelPackage('linux-image-cloud-amd64', 'trixie', dir);
    const name = execFileSync('dpkg-deb', ['-f', kernel, 'Package'], { encoding: 'utf8' }).trim();
    release = name.slice('linux-image-'.length);
    const guest: GuestDescription = debian({ kernel });
    // It is removed at the end, so that each run prepares it: no other test boots it.
    prepared = (await guest.prepare()).kernel?.kernel;
    // QEMU before 8.1 now and then crashes this kernel on several CPUs.
    vm = await boot(guest, { cpus: 1 });
  });
  afterAll(async () => {
    await vm?.close();
    if (prepared !== undefined) rmSync(dirname(prepared), { recursive: true, force: true });
    rmSync(dir, { recursive: true, force: true });
  });

  it('boots that kernel on the image, with its modules', async () => {
    expect(release).toMatch(/^6\.12\..*\+deb13-cloud-amd64$/);
    const { stdout } = await vm.expectOk('uname -r; . /etc/os-release; echo $VERSION_CODENAME; ls /lib/modules');
    expect(stdout.split('\n').filter((line) => line !== 'lost+found')).toEqual([release, 'bookworm', release, '']);
    await vm.expectOk('modprobe dummy && test -d /sys/module/dummy');
    expect(vm.facts.guest.kernelRelease).toBe(release);
  });

  it('is in a snapshot, its forks, and after a restore', async () => {
    await vm.expectOk('echo before > /root/state');
    await vm.snapshot('packaged');
    await vm.expectOk('echo after > /root/state; modprobe -r dummy');
    await using fork = await vm.fork('packaged');
    await vm.restore('packaged');
    for (const each of [fork, vm]) {
      const { stdout } = await each.expectOk(
        'uname -r; cat /root/state; modprobe -r dummy && modprobe dummy && echo loaded',
      );
      expect(stdout).toBe(`${release}\nbefore\nloaded\n`);
    }
  });
});
