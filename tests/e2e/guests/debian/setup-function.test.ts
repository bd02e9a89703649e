import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { boot, debian, type Vm } from '@qmpilot/core';
import { findImage, listImages, removeImages, type SetupFunction } from '@qmpilot/core/guests';
import { afterAll, describe, expect, it, vi } from 'vitest';

/** Of this run of the tests: the layers are to be built. */
const version = `${process.pid}-${Date.now()}`;
const built: string[] = [];
// The guest of the setup starts from the boot cache: booting is tested elsewhere.
vi.stubEnv('QMPILOT_BOOT_CACHE', '1');
afterAll(async () => {
  await removeImages(built);
});

describe('a setup by a function', () => {
  it('runs once in a guest with services, and is in each guest that boots the image', async () => {
    let runs = 0;
    const setup: SetupFunction = {
      name: `once ${version}`,
      async run(vm, { note }) {
        runs += 1;
        note('writing files');
        await vm.expectOk('systemctl is-active systemd-journald.service');
        await vm.expectOk(
          'mkdir /srv/data; cp /proc/sys/kernel/random/boot_id /srv/data/setup; id -un > /srv/data/user',
        );
        await vm.snapshot('written');
        await vm.expectOk('echo more > /srv/data/more');
      },
    };
    const said: string[] = [];
    const onProgress = (line: string) => said.push(line);
    const guest = debian({ setup });
    // Both need the layer, and one builds it.
    const [{ key }] = await Promise.all([guest.prepare({ onProgress }), guest.prepare()]);
    built.push(key);
    expect(runs).toBe(1);
    expect(said.join('\n')).toContain('the setup once');
    await using vm = await boot(guest, { cache: false });
    expect(runs).toBe(1);
    const { stdout } = await vm.expectOk(
      'cd /srv/data; cat user more; cmp -s setup /proc/sys/kernel/random/boot_id && echo same || echo booted again; test -e /etc/resolv.conf || echo no name server',
    );
    expect(stdout).toBe('root\nmore\nbooted again\nno name server\n');
    expect((await debian({ setup: { ...setup, name: setup.name } }).prepare()).key).toBe(key);
    const image = await findImage(key);
    expect(image?.manifest).toMatchObject({ parent: (await debian().prepare()).key, adds: `the setup ${setup.name}` });
    expect(image?.manifest.packages.some((line) => line.startsWith('systemd '))).toBe(true);
    expect(image?.bytes).toBeLessThan(64 * 2 ** 20);
  });
});

describe('a setup by a function that fails leaves nothing in the cache', () => {
  const stop = new AbortController();
  const boom = 'echo out; echo broken >&2; exit 3';
  it.for<[string, Omit<SetupFunction, 'name'>, object]>([
    [
      'a command that fails',
      { run: async (vm) => void (await vm.expectOk(boom)) },
      {
        code: 'GUEST_BUILD',
        message: expect.stringMatching(/^the setup .+ failed: [^]*broken/),
        evidence: { console: expect.any(Array) },
        cause: { code: 'COMMAND_FAILED' },
      },
    ],
    [
      'an error of its own',
      { run: () => Promise.reject(new Error('not today')) },
      { code: 'GUEST_BUILD', message: expect.stringMatching(/ failed: Error: not today$/) },
    ],
    [
      'a kernel that panics',
      { run: async (vm) => void (await vm.exec('echo c > /proc/sysrq-trigger; sleep 1000')) },
      { code: 'GUEST_BUILD', message: expect.stringContaining('panicked: kernel panic: sysrq triggered crash') },
    ],
    [
      'a VM that is off at its end',
      { run: async (vm) => void (await vm.poweroff()) },
      { code: 'GUEST_BUILD', message: expect.stringMatching(/ failed: the VM is off at its end$/) },
    ],
    [
      'a time limit that is up',
      { timeout: '1s', run: () => new Promise<void>(() => {}) },
      { code: 'GUEST_BUILD', cause: { code: 'TIMEOUT' } },
    ],
    [
      'a guest that does not power off',
      {
        timeout: '12s',
        async run(vm) {
          const unit = '-p TimeoutStopSec=infinity sh -c \'trap "" TERM; while :; do sleep 1; done\'';
          await vm.expectOk(`systemd-run -q --unit=stays ${unit}`);
        },
      },
      { code: 'GUEST_BUILD', message: expect.stringMatching(/did not power off: stalled: .*stays\.service/) },
    ],
    [
      'a cancellation',
      {
        async run(vm: Vm) {
          const sleeping = vm.exec('sleep 1000');
          stop.abort(new Error('enough'));
          await sleeping;
        },
      },
      { code: 'ABORTED' },
    ],
  ])('%s', async ([what, setup, error]) => {
    const name = `${what} ${version}`;
    const below = await debian().prepare();
    const images = dirname(dirname(below.disks[0]?.file ?? ''));
    const before = await readdir(images);
    const building = debian({ setup: { name, ...setup } }).prepare({ signal: stop.signal });
    await expect(building).rejects.toMatchObject(error);
    expect((await listImages()).filter(({ manifest }) => manifest.adds?.includes(name))).toEqual([]);
    const left = (await readdir(images)).filter((file) => !before.includes(file) && file.startsWith('.building-'));
    expect(left).toEqual([]);
  });
});
