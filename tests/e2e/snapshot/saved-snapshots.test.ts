import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, debian, direct, openSnapshot, type Snapshot, type Vm } from '@qmpilot/core';
import { openPreparedSnapshot, savePreparedSnapshot } from '@qmpilot/core/internal';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { boundCache, listSaved, removeSaved } from '../../../packages/core/src/snapshot/saved/cache.js';
import { makeTinyGuest } from '../../support/tiny-guest.js';

const GUEST = debian({ defect: 'io-uring-unlocked-flush' });

async function hashes(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of await readdir(folder)) {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(join(folder, name))) hash.update(chunk as Buffer);
    found[name] = hash.digest('hex');
  }
  return found;
}

describe('a saved snapshot', () => {
  let folder: string;
  let path: string;
  let nonce: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kept-test-'));
    path = join(folder, 'kept');
    const vm = await boot(GUEST, { cache: true });
    try {
      nonce = (await vm.exec('od -An -N8 -tx8 /dev/urandom | tee /run/nonce')).stdout;
      await vm.expectOk('echo disk > /root/nonce; sync');
      const snapshot = await vm.snapshot('prepared', { reboots: true });
      expect(snapshot).toMatchObject({ strategy: 'template' });
      await snapshot.save(path);
      await expect(snapshot.save(path)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    } finally {
      await vm.close();
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('starts guests after its VM has closed, and its files have the same hashes before and after', async () => {
    const before = await hashes(path);
    const snapshot = await openSnapshot(path);
    const forks = await snapshot.fork({ count: 2 });
    await snapshot.close();
    try {
      for (const fork of forks) {
        expect((await fork.exec('cat /run/nonce /root/nonce')).stdout).toBe(`${nonce}disk\n`);
        await fork.expectOk(
          'head -c 50M /dev/zero | tr "\\0" x > /run/big; head -c 20M /run/big > /root/big; echo changed > /root/nonce; sync',
        );
      }
      await forks[0]?.restore('prepared');
      expect((await forks[0]?.exec('cat /root/nonce; ls /root/big'))?.stdout).toBe('disk\n');
    } finally {
      await Promise.all(forks.map((fork) => fork.close()));
    }
    expect(await hashes(path)).toEqual(before);
  });

  it('gives each fork random numbers and a seed of its own', async () => {
    await using snapshot = await openSnapshot(path);
    const forks = await snapshot.fork({ count: 2 });
    try {
      const seen = await Promise.all(
        forks.map(async (fork) => {
          await fork.reseeded;
          const { stdout } = await fork.exec('od -An -N16 -tx8 /dev/urandom; cat /run/qmpilot/seed');
          const [random, seed] = stdout.trim().split('\n');
          expect(Number(seed)).toBe(fork.seed);
          return { random, seed };
        }),
      );
      expect(seen[0]?.random).not.toBe(seen[1]?.random);
      expect(seen[0]?.seed).not.toBe(seen[1]?.seed);
    } finally {
      await Promise.all(forks.map((fork) => fork.close()));
    }
  });

  it('starts guests that can be rebooted where that was asked for, and a rebooted one is told from a restored one', async () => {
    await using snapshot = await openSnapshot(path);
    const fork = await snapshot.fork();
    await using vm = fork;
    expect(await vm.restoredFrom()).toMatchObject({ name: 'prepared', nonce: snapshot.nonce });
    await vm.qmp.execute('system_reset');
    await vm.console.expect('Linux version', { timeout: '60s' });
    await vm.console.expect(/root@\S+/, { timeout: '2m' });
    await vm.shell.reset({ timeout: '30s' });
    expect(await vm.restoredFrom()).toBeUndefined();
    await vm.restore('prepared');
    expect(await vm.restoredFrom()).toMatchObject({ name: 'prepared' });
  });

  it('sets clock and seed also in a guest that has no perl, or lost the helper that waits for it', async () => {
    await using snapshot = await openSnapshot(path);
    const fork = await snapshot.fork();
    await using vm = fork;
    await vm.reseeded;
    await vm.expectOk('pkill -9 qmpilot-reseed; mv "$(type -P perl)" /root/perl');
    await vm.snapshot('without');
    const later = new Date(Date.now() + 600_000);
    await vm.restore('without', { clock: later });
    await vm.reseeded;
    const { stdout } = await vm.exec('date +%s; cat /run/qmpilot/seed; pgrep -c qmpilot-reseed');
    const [seconds, seed, helpers] = stdout.trim().split('\n').map(Number);
    expect(Math.abs((seconds ?? 0) * 1000 - later.getTime())).toBeLessThan(20_000);
    expect([seed, helpers]).toEqual([vm.seed, 0]);
  });

  it('ten minutes later by the clock: no hung task, lockup or stall is reported, timers continue, and consoles, disk and RNG work', async () => {
    await using snapshot = await openSnapshot(path);
    const later = new Date(Date.now() + 600_000);
    const fork = await snapshot.fork({ clock: later });
    await using vm = fork;
    const watch = vm.watch();
    await vm.reseeded;
    expect(Math.abs(Number((await vm.exec('date +%s')).stdout) * 1000 - later.getTime())).toBeLessThan(20_000);
    await vm.expectOk(
      'sleep 2; sync; head -c 1000 /dev/hwrng | wc -c | grep -qx 1000; dd if=/dev/vda of=/dev/null bs=1M count=8 iflag=direct',
    );
    await vm.console.type('echo "serial $((40 + 2))"\n');
    await vm.console.expect('serial 42', { timeout: '30s' });
    await watch.stop();
    expect(watch.findings).toEqual([]);
    expect(
      (await vm.exec('dmesg --level=emerg,alert,crit,err | grep -iE "blocked|lockup|stall|clocksource" || true'))
        .stdout,
    ).toBe('');
  });

  it('is refused when another QEMU saved it, both named; when a file is short; when its image has changed', async () => {
    const bad = async (change: (copy: string) => Promise<void>) => {
      const copy = join(folder, 'bad');
      await cp(path, copy, { recursive: true });
      await change(copy);
      try {
        return await openSnapshot(copy).catch((error: unknown) => error);
      } finally {
        await rm(copy, { recursive: true });
      }
    };
    const manifest = (edit: (text: string) => string) => async (copy: string) => {
      const file = join(copy, 'manifest.json');
      await writeFile(file, edit(await readFile(file, 'utf8')));
    };
    expect(await bad(manifest((text) => text.replace(/"qemu": "[^"]+"/, '"qemu": "6.0.0 (other)"')))).toMatchObject({
      code: 'SNAPSHOT',
      message: expect.stringMatching(/saved by QEMU 6\.0\.0 \(other\) with the machine pc-q35-.*this is QEMU \d/),
    });
    expect(await bad((copy) => truncate(join(copy, 'state'), 1000))).toMatchObject({
      code: 'SNAPSHOT',
      message: expect.stringContaining('incomplete: state'),
    });
    expect(await bad((copy) => rm(join(copy, 'manifest.json')))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('no saved snapshot'),
    });
    expect(
      await bad(
        manifest((text) =>
          text.replace(/"mtimeMs": [\d.]+/, '"mtimeMs": 1').replace(/"sha256": "[0-9a-f]+"/, '"sha256": "0"'),
        ),
      ),
    ).toMatchObject({
      code: 'SNAPSHOT',
      message: expect.stringContaining('has different contents'),
    });
  });

  it('is used for the same guest and preparation only, listed with its size, limited and removed', async () => {
    const cacheDir = join(folder, 'cache');
    // The image stays where it is: only snapshots go to this cache.
    const guest = {
      name: GUEST.name,
      prepare: (context: object = {}) => GUEST.prepare({ ...context, cacheDir: undefined }),
    };
    const request = { name: 'my test', guest, source: 'abc', cacheDir };
    expect(await openPreparedSnapshot(request)).toBeUndefined();
    let snapshot: Snapshot | undefined = await openSnapshot(path);
    await savePreparedSnapshot(snapshot, request);
    await snapshot.close();
    // What a writer that was killed left.
    await mkdir(join(cacheDir, 'snapshots', '.x.partial-999999999-abc'));
    const begun = performance.now();
    snapshot = await openPreparedSnapshot(request);
    const vm = await snapshot?.fork();
    expect((await vm?.exec('cat /root/nonce'))?.stdout).toBe('disk\n');
    expect(performance.now() - begun).toBeLessThan(20_000);
    await vm?.close();
    await snapshot?.close();
    expect(await openPreparedSnapshot({ ...request, source: 'abd' })).toBeUndefined();
    expect(await openPreparedSnapshot({ ...request, boot: { memoryMiB: 512 } })).toBeUndefined();
    const listed = await listSaved(cacheDir);
    expect(listed).toMatchObject([
      { name: expect.stringMatching(/^my-test-[0-9a-f]{16}$/), guest: GUEST.name, memoryMiB: 1024 },
    ]);
    expect(listed[0]?.bytes).toBeLessThan(1024 * 2 ** 20);
    expect(await boundCache(1, listed[0]?.name ?? '', cacheDir)).toEqual([]);
    expect(await readdir(join(cacheDir, 'snapshots'))).toEqual([listed[0]?.name]);
    await expect(removeSaved(['nope'], cacheDir)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await removeSaved(['my-test'], cacheDir)).toEqual([listed[0]?.name]);
    expect(await listSaved(cacheDir)).toEqual([]);
  });
});

describe('the strategy file', () => {
  let vm: Vm;
  beforeAll(async () => {
    vm = await boot(GUEST, { cache: true });
  });
  afterAll(() => vm.close());

  it('saves, forks and restores with all RAM in the state', async () => {
    await vm.expectOk('echo ram > /run/nonce; echo disk > /root/nonce');
    const snapshot = await vm.snapshot('whole', { strategy: 'file' });
    expect(snapshot).toMatchObject({ strategy: 'file', reason: 'requested' });
    await vm.expectOk('echo changed > /run/nonce; echo changed > /root/nonce');
    const fork = await snapshot.fork();
    expect((await fork.exec('cat /run/nonce /root/nonce')).stdout).toBe('ram\ndisk\n');
    await fork.close();
    await vm.restore('whole');
    expect((await vm.exec('cat /run/nonce /root/nonce')).stdout).toBe('ram\ndisk\n');
  });

  it('is chosen for a VM whose RAM is not in a file, and says so', async () => {
    const snapshot = await vm.snapshot('again');
    expect(snapshot).toMatchObject({
      strategy: 'file',
      reason: expect.stringContaining('RAM of this VM is not in a file'),
    });
    const template = await vm.snapshot('shared', { strategy: 'template' });
    const fork = await template.fork();
    expect((await fork.exec('cat /run/nonce /root/nonce')).stdout).toBe('ram\ndisk\n');
    await fork.close();
  });
});

describe('what prevents a snapshot', () => {
  it('is reported before a snapshot is tried, with the remedy, and the VM continues', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'blockers-test-'));
    const files = await makeTinyGuest(folder);
    const guest = direct({
      name: 'tiny',
      ...files,
      append: 'console=ttyS0 quiet',
      cpus: 1,
      memoryMiB: 128,
      login: { prompt: /tiny# $/ },
    });
    const raw = join(folder, 'mine.raw');
    await writeFile(raw, Buffer.alloc(1 << 20));
    const vm = await boot(guest, {
      qemuArguments: [
        '-blockdev',
        'null-co,node-name=none,size=1048576',
        '-device',
        'nvme,serial=1,drive=none',
        '-drive',
        `file=${raw},format=raw,if=virtio`,
      ],
    });
    try {
      expect(await vm.snapshotBlockers()).toEqual([
        { reason: expect.stringContaining('nvme'), remedy: expect.stringContaining('leave out of the guest') },
        {
          reason: `the disk ${raw} has no overlay of this VM's own, and a fork would write to it as well`,
          remedy: expect.stringContaining('name it among the disks of the guest'),
        },
      ]);
      await expect(vm.snapshot('one')).rejects.toMatchObject({
        code: 'SNAPSHOT',
        message: expect.stringMatching(/cannot be saved: .*nvme/),
        hint: expect.any(String),
      });
      await vm.console.type('echo $((40 + 2))\n');
      await vm.console.expect('42');
    } finally {
      await vm.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
