import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { boot, debian, direct, nixos, type BootOptions, type GuestDescription } from '@qmpilot/core';
import { cacheRoot } from '@qmpilot/core/internal';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isRoot, mountSmall, unmount } from '../../../support/host-tools.js';
import { leftovers, leftoversSince } from '../../../support/leftovers.js';
import { makeTinyGuest, type TinyGuest } from '../../../support/tiny-guest.js';

const CORE = fileURLToPath(new URL('../../../../packages/core/dist/index.js', import.meta.url));
const before = leftovers();

let folder: string;
let tiny: TinyGuest;
let guest: GuestDescription;

function describeTiny({ kernel, initrd }: TinyGuest) {
  const options = { name: 'tiny', kernel, initrd, append: 'console=ttyS0 quiet', cpus: 1, memoryMiB: 128 };
  return { ...options, login: { prompt: /tiny# $/ } };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'boot-cache-'));
  tiny = await makeTinyGuest(folder);
  guest = direct(describeTiny(tiny));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  expect(leftoversSince(before)).toEqual([]);
});

const saved = () => readdirSync(join(cacheRoot(), 'snapshots')).filter((name) => !name.startsWith('.'));
const unfinished = () => readdirSync(join(cacheRoot(), 'snapshots')).filter((name) => name.startsWith('.'));

/** A cache of its own, with the images of the real one. */
let caches = 0;
async function newCache(parent = folder): Promise<void> {
  const images = join(cacheRoot(), 'images');
  const cache = join(parent, `cache-${(caches += 1)}`);
  await mkdir(cache, { recursive: true, mode: 0o700 });
  await symlink(images, join(cache, 'images'));
  process.env['QMPILOT_CACHE'] = cache;
}
const realCache = process.env['QMPILOT_CACHE'];
afterAll(() => {
  if (realCache === undefined) delete process.env['QMPILOT_CACHE'];
  else process.env['QMPILOT_CACHE'] = realCache;
});

/** Boots with the cache, and gives what was said meanwhile. */
async function bootCached(description: GuestDescription, options: BootOptions = {}) {
  const said: string[] = [];
  const vm = await boot(description, { cache: true, ...options, onProgress: (line) => said.push(line) });
  return { vm, said: said.join('\n') };
}

/** The same in a process of its own; it prints what is said, and `up` when the VM answers. */
function bootInProcess() {
  const script = `import { boot, direct } from ${JSON.stringify(CORE)};
    const { login, ...options } = JSON.parse(process.argv[1]);
    const vm = await boot(direct({ ...options, login: { prompt: /tiny# $/ } }), { cache: true, onProgress: console.log });
    await vm.console.type('echo $((6*7))\\n');
    await vm.console.expect('42');
    console.log('up');
    await vm.close();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, JSON.stringify(describeTiny(tiny))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (text: Buffer) => (said += text.toString()));
  const ended = once(child, 'exit').then(() => said);
  return { child, ended };
}

describe('a Debian guest from the boot cache', () => {
  beforeAll(() => newCache());

  it('is the guest of the first boot, with a clock and random numbers of its own', async () => {
    const first = await bootCached(debian());
    await using one = first.vm;
    expect(first.said).toMatch(/booting to make one[^]*booted in[^]*from the boot cache/);
    const second = await bootCached(debian());
    await using two = second.vm;
    expect(second.said).toMatch(/^from the boot cache \(saved .*\)/m);
    expect(second.said).not.toContain('booted in');
    expect(saved()).toEqual([expect.stringMatching(/^debian-booted-[0-9a-f]{16}$/)]);

    const ask = (command: string) => Promise.all([one, two].map(async (vm) => (await vm.expectOk(command)).stdout));
    const [oneBoot, twoBoot] = await ask('cat /proc/sys/kernel/random/boot_id /etc/machine-id; hostname');
    expect(twoBoot).toBe(oneBoot);
    const [oneRandom, twoRandom] = await ask('head -c 16 /dev/urandom | od -An -tx1');
    expect(twoRandom).not.toBe(oneRandom);
    const asked = Date.now() / 1000;
    const clocks = (await ask('date +%s.%N')).map(Number);
    for (const clock of clocks) {
      expect(clock).toBeGreaterThan(asked - 1);
      expect(clock).toBeLessThan(Date.now() / 1000 + 1);
    }
  });

  it('can do all that a booted one can: snapshots by template, forks, restores, a reboot', async () => {
    await using vm = (await bootCached(debian())).vm;
    expect(vm.snapshots).toEqual([]);
    await vm.expectOk('echo mark >/run/mark; echo disk >/root/disk');
    const snapshot = await vm.snapshot('mine');
    expect(snapshot.strategy).toBe('template');
    await vm.expectOk('rm /run/mark');
    await vm.restore('mine');
    expect((await vm.exec('cat /run/mark /root/disk')).stdout).toBe('mark\ndisk\n');

    await using again = (await bootCached(debian())).vm;
    await again.expectOk('[[ ! -e /root/disk ]]');
    const boot1 = (await again.expectOk('cat /proc/sys/kernel/random/boot_id')).stdout;
    const reset = again.qmp.waitFor('RESET', { timeout: '2m' });
    await again.qmp.execute('system_reset');
    await reset;
    await again.shell.ready({ timeout: '5m' });
    expect((await again.expectOk('cat /proc/sys/kernel/random/boot_id')).stdout).not.toBe(boot1);
  });
});

describe('the key', () => {
  beforeAll(async () => {
    await newCache();
    await (await bootCached(guest)).vm.close();
  });

  it('holds the machine and its options: another memory size makes another snapshot', async () => {
    const other = await bootCached(guest, { memoryMiB: 160 });
    expect(other.said).toContain('booting to make one');
    expect(other.vm.facts.memoryMiB).toBe(160);
    await other.vm.close();
    expect(saved()).toHaveLength(2);
  });

  it('holds the files of the guest', async () => {
    const initrd = join(folder, 'other.img');
    copyFileSync(tiny.initrd, initrd);
    const mine = direct(describeTiny({ ...tiny, initrd }));
    const first = await bootCached(mine);
    await first.vm.close();
    expect(first.said).toContain('booting to make one');
    utimesSync(initrd, 1, 1);
    const changed = await bootCached(mine);
    await changed.vm.close();
    expect(changed.said).toContain('booting to make one');
  });
});

describe('a guest that cannot start from the boot cache', () => {
  beforeAll(() => newCache());

  it.each([
    ['a port of the host', ['-netdev', 'user,id=mine,hostfwd=tcp:127.0.0.1:0-:22'], /cannot have a forwarded port/],
    [
      'a folder of the host',
      ['-virtfs', 'local,path=/usr/share,mount_tag=share,security_model=none'],
      /shares a folder of the host/,
    ],
  ])('%s: it is said before the guest boots, and the guest boots', async (_name, qemuArguments, reason) => {
    const said: string[] = [];
    let saidAtStart = '';
    await using vm = await boot(guest, {
      cache: true,
      qemuArguments,
      onProgress: (line) => said.push(line),
      onStart: () => (saidAtStart = said.join('\n')),
    });
    expect(saidAtStart).toMatch(reason);
    expect(vm.console.lines().join('\n')).toMatch(/Linux version|tiny#/);
    expect(existsSync(join(cacheRoot(), 'snapshots')) ? saved() : []).toEqual([]);
  });

  it('a disk without an overlay: reported before the guest boots, and the guest boots', async () => {
    const disk = join(folder, 'extra.raw');
    writeFileSync(disk, Buffer.alloc(1 << 20));
    const drive = ['-drive', `file=${disk},format=raw,if=virtio`];
    const { vm, said } = await bootCached(guest, { qemuArguments: drive });
    await vm.close();
    expect(said).toMatch(/^not from the boot cache: the disk .*extra\.raw has no overlay[^]*booted in/m);
    expect(saved()).toEqual([]);
  });

  it('a guest with a start script of its own: that is the reason, before the script runs', async () => {
    const script = join(folder, 'run-nothing-vm');
    writeFileSync(script, '#!/bin/sh\nexit 3\n', { mode: 0o755 });
    const said: string[] = [];
    const booting = boot(nixos({ script }), { cache: true, onProgress: (line) => said.push(line) });
    await expect(booting).rejects.toMatchObject({ code: expect.any(String) });
    expect(said.join('\n')).toMatch(/not from the boot cache: .*its own script/);
  });
});

describe('several processes', () => {
  beforeEach(() => newCache());

  it('two that need the same snapshot: one makes it, and both are up', async () => {
    const said = await Promise.all([bootInProcess().ended, bootInProcess().ended]);
    expect(said.every((text) => text.includes('up\n'))).toBe(true);
    expect(said.filter((text) => text.includes('booting to make one'))).toHaveLength(1);
    expect(said.every((text) => text.includes('from the boot cache'))).toBe(true);
    expect(saved()).toHaveLength(1);
    expect(unfinished()).toEqual([]);
  });

  it('one that is killed while it saves: nothing incomplete is left, and the next one works', async () => {
    await mkdir(join(cacheRoot(), 'snapshots'), { mode: 0o700 });
    const { child, ended } = bootInProcess();
    await expect
      .poll(() => unfinished().some((name) => name.includes('.partial-')), { interval: 1, timeout: 300_000 })
      .toBe(true);
    child.kill('SIGKILL');
    await ended;
    const { vm, said } = await bootCached(guest);
    await vm.close();
    expect(said).toContain('from the boot cache');
    expect(saved()).toHaveLength(1);
    expect(unfinished().filter((name) => name.includes('.partial-'))).toEqual([]);
    await expect.poll(() => leftoversSince(before), { timeout: 60_000 }).toEqual([]);
  });
});

describe('the folder of the cache', () => {
  beforeEach(() => newCache());

  it.skipIf(!isRoot)('a full disk: the guest boots, and it is said that there is no snapshot of it', async () => {
    const small = join(folder, 'small');
    const why = mountSmall(small, 8);
    expect(why).toBeUndefined();
    try {
      await newCache(small);
      const { vm, said } = await bootCached(guest);
      await vm.console.type('echo $((6*7))\n');
      await vm.console.expect('42', { timeout: '1m' });
      expect(vm.snapshots).toEqual([]);
      await vm.close();
      expect(said).toMatch(/no snapshot for the boot cache: .*(?:not enough space|no space left on device)/);
      expect(saved()).toEqual([]);
      expect(unfinished().filter((name) => name.includes('.partial-'))).toEqual([]);
    } finally {
      unmount(small);
    }
  });

  it('a snapshot that can no longer be used is reported, removed and made again', async () => {
    await (await bootCached(guest)).vm.close();
    const [name = ''] = saved();
    rmSync(join(cacheRoot(), 'snapshots', name, 'state'));
    const { vm, said } = await bootCached(guest);
    await vm.close();
    expect(said).toMatch(/is removed: .*is incomplete[^]*booting to make one[^]*from the boot cache/);
    expect(saved()).toEqual([name]);
  });

  it('QMPILOT_BOOT_CACHE=1 turns it on for boots without the option', async () => {
    process.env['QMPILOT_BOOT_CACHE'] = '1';
    try {
      await (await boot(guest)).close();
      expect(saved()).toHaveLength(1);
      await (await boot(guest, { cache: false, memoryMiB: 160 })).close();
      expect(saved()).toHaveLength(1);
    } finally {
      delete process.env['QMPILOT_BOOT_CACHE'];
    }
  });
});
