import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, direct, openSnapshot, type GuestDescription, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fill, isFiller, mountSmall, unmount } from '../../support/host-tools.js';
import { leftovers, leftoversSince } from '../../support/leftovers.js';
import { otherQemu } from '../../support/other-qemu.js';
import { qemus } from '../../support/own-qemus.js';
import { makeTinyGuest } from '../../support/tiny-guest.js';

const MEMORY_MIB = 128;
const ALL = 'forks can map the RAM file; all of the RAM was written';
const CHANGED = 'forks can map the RAM file';

let dir: string;
let guest: GuestDescription;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'changed-pages-'));
  writeFileSync(join(dir, 'disk.raw'), Buffer.alloc(1 << 20));
  guest = direct({
    name: 'tiny',
    ...(await makeTinyGuest(dir)),
    append: 'console=ttyS0 quiet',
    cpus: 1,
    memoryMiB: MEMORY_MIB,
    login: { prompt: /tiny# $/ },
    disks: [{ id: 'first', file: join(dir, 'disk.raw'), format: 'raw' }],
  });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function run(vm: Vm, command: string): Promise<string> {
  const nonce = Math.random().toString(36).slice(2);
  await vm.console.type(`${command}; echo "<""${nonce}""$?>"\n`);
  const { before, groups } = await vm.console.expect(new RegExp(`<${nonce}(\\d+)>`), { timeout: '60s' });
  if (groups[0] !== '0') throw new Error(`${command}: ${before}`);
  return before;
}

const withDisk = (vm: Vm) =>
  run(
    vm,
    'while read m; do busybox insmod /modules/$m; done < /modules/order; until [ -b /dev/vda ]; do busybox sleep 0.1; done',
  );

/** Fills RAM with random bytes and notes their checksum in RAM and on the disk. */
const change = (vm: Vm, mebibytes: number) =>
  run(
    vm,
    `busybox dd if=/dev/urandom of=/x bs=1M count=${mebibytes} 2>/dev/null; busybox md5sum /x > /sum; busybox dd if=/sum of=/dev/vda conv=notrunc,fsync 2>/dev/null`,
  );

/** The checksum that RAM has now, which its note in RAM and that on the disk have to be. */
async function sumOf(vm: Vm): Promise<string> {
  const text = await run(
    vm,
    'busybox md5sum /x; busybox cat /sum; busybox dd if=/dev/vda iflag=direct bs=4096 count=1 2>/dev/null | busybox head -c 32; echo',
  );
  const sums = new Set(text.match(/\b[0-9a-f]{32}\b/g));
  expect(sums.size, text).toBe(1);
  return [...sums].join();
}

/** What all files of our own on the host take in memory, in MiB; a file with several names once. */
function memoryUsed(): number {
  const root = process.env['QMPILOT_RAM_DIR'] ?? '';
  const sizes = new Map(
    readdirSync(root, { recursive: true, encoding: 'utf8' }).map((name) => {
      const { ino, blocks } = lstatSync(join(root, name));
      return [ino, blocks / 2048];
    }),
  );
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

describe.each([
  ["the host's QEMU", () => undefined],
  ["Debian's newer QEMU", () => otherQemu().system],
])('a snapshot of a fork on %s', (name, qemuOf) => {
  const qemu = qemuOf();

  it('holds the changed pages alone; its forks, restores and saved copies have RAM and disks as they were', async () => {
    const before = leftovers();
    {
      await using vm = await boot(guest, { qemu });
      await withDisk(vm);
      await vm.snapshot('base');
      const used = memoryUsed();
      await change(vm, 8);
      const first = await sumOf(vm);
      expect(await vm.snapshot('a')).toMatchObject({ strategy: 'template', reason: CHANGED });
      expect(memoryUsed() - used).toBeLessThan(40);
      await change(vm, 10);
      const second = await sumOf(vm);
      expect(second).not.toBe(first);
      await vm.snapshot('b');
      const b = await vm.fork('b');
      expect(await sumOf(b)).toBe(second);
      await change(b, 6);
      const third = await sumOf(b);
      expect(await b.snapshot('c', { reboots: true })).toMatchObject({ reason: CHANGED });
      await change(b, 5);
      // What a snapshot is made of stays when those before it are removed.
      for (const gone of ['base', 'b']) await vm.removeSnapshot(gone);
      const forks = await vm.fork('c', { count: 2 });
      for (const fork of forks) expect(await sumOf(fork)).toBe(third);
      await vm.restore('a');
      expect(await sumOf(vm)).toBe(first);
      const d = await vm.snapshot('d');
      expect(d.reason).toBe(CHANGED);

      // The firmware is not part of what is saved of the devices.
      const [rebooted] = forks;
      await rebooted?.console.type('echo "re""booting"; busybox reboot -f\n');
      await rebooted?.console.expect('rebooting');
      await rebooted?.console.expect(/tiny# $/, { timeout: '60s' });
      expect(rebooted && (await run(rebooted, 'test ! -e /x && echo fresh'))).toMatch(/^fresh/m);
      expect(rebooted && (await rebooted.snapshot('e')).reason).toBe(CHANGED);

      await vm.qmp.execute('stop');
      const paused = await vm.snapshot('paused');
      const kept = join(dir, `kept-${name.length}`);
      await paused.save(kept);
      const dump = join(dir, 'dump');
      await vm.qmp.execute('pmemsave', { val: 0, size: MEMORY_MIB * 2 ** 20, filename: dump });
      expect(ramHashes(join(kept, 'ram'))).toEqual(ramHashes(dump));
      await vm.close();
      for (const each of [b, ...forks]) await each.close();

      await using opened = await openSnapshot(kept, { qemu });
      const again = await opened.fork();
      expect(await sumOf(again)).toBe(first);
      await change(again, 4);
      const fourth = await sumOf(again);
      expect((await again.snapshot('f')).reason).toBe(CHANGED);
      const last = await again.fork('f');
      expect(await sumOf(last)).toBe(fourth);
      await last.close();
      await again.close();
    }
    expect(leftoversSince(before)).toEqual([]);
  });

  it('leaves the guest as it was when there is no more room, when it is cancelled, and nothing when QEMU is killed', async ({
    skip,
  }) => {
    const small = join(dir, 'small');
    const ramDir = process.env['QMPILOT_RAM_DIR'];
    const why = mountSmall(small, 700);
    if (why !== undefined) skip(why);
    process.env['QMPILOT_RAM_DIR'] = small;
    try {
      const vm = await boot(guest, { qemu });
      try {
        await withDisk(vm);
        await vm.snapshot('base');
        await change(vm, 8);
        const sum = await sumOf(vm);
        const whenPaused = (act: () => void) => {
          const forget = vm.onEvent((event) => {
            if (event.type !== 'qmp' || event.event !== 'STOP') return;
            forget();
            act();
          });
        };
        const files = () => readdirSync(small, { recursive: true, encoding: 'utf8' }).filter((path) => !isFiller(path));
        const had = files();

        whenPaused(() => fill(small));
        await expect(vm.snapshot('full')).rejects.toMatchObject({ code: 'NO_SPACE', hint: expect.any(String) });
        rmSync(join(small, 'filler'));
        expect(await sumOf(vm)).toBe(sum);
        expect(files()).toEqual(had);

        const controller = new AbortController();
        whenPaused(() => controller.abort());
        await expect(vm.snapshot('cancelled', { signal: controller.signal })).rejects.toMatchObject({
          code: 'ABORTED',
        });
        expect(await sumOf(vm)).toBe(sum);
        expect(files()).toEqual(had);

        expect((await vm.snapshot('good')).reason).toBe(CHANGED);
        const fork = await vm.fork('good');
        expect(await sumOf(fork)).toBe(sum);
        await fork.close();

        const saved = files();
        const pages = join(small, saved.find((path) => path.endsWith('/pages')) ?? '');
        const whole = readFileSync(pages);
        chmodSync(pages, 0o600);
        // The place of the last run, and the length of the file.
        for (const damaged of [
          Buffer.concat([whole.subarray(0, -8), Buffer.alloc(8, 0xff)]),
          whole.subarray(0, -4096),
        ]) {
          writeFileSync(pages, damaged);
          await expect(vm.fork('good')).rejects.toMatchObject({
            code: 'SNAPSHOT',
            message: expect.stringMatching(/cannot load the saved pages of RAM: .*(?:do not fit|wrong size)/),
          });
        }
        writeFileSync(pages, whole);
        const others = () => qemus().filter((pid) => pid !== vm.pid);
        await expect.poll(others, { timeout: 10_000 }).toEqual([]);
        const killed = vm.fork('good').then(
          (one) => one.close(),
          (error: unknown) => error,
        );
        await expect.poll(others, { timeout: 10_000, interval: 1 }).toHaveLength(1);
        for (const pid of others()) process.kill(pid, 'SIGKILL');
        expect(await killed).toMatchObject({ code: expect.stringMatching(/SNAPSHOT|QMP_LINK|QEMU_START/) });
        expect(files()).toEqual(saved);
        const late = vm.fork('good', { timeout: 1 });
        await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' });
        await expect.poll(others, { timeout: 10_000 }).toEqual([]);

        whenPaused(() => process.kill(vm.pid, 'SIGKILL'));
        await expect(vm.snapshot('killed')).rejects.toMatchObject({
          code: expect.stringMatching(/QEMU_EXITED|QMP_LINK/),
        });
        expect(files()).toEqual(saved);
        await vm.restore('good');
        expect(await sumOf(vm)).toBe(sum);
      } finally {
        await vm.close();
      }
      expect(readdirSync(small)).toEqual([]);
    } finally {
      if (ramDir === undefined) delete process.env['QMPILOT_RAM_DIR'];
      else process.env['QMPILOT_RAM_DIR'] = ramDir;
      unmount(small);
    }
  });
});

it('a guest with memory beside its RAM is saved with all of its RAM, and the snapshot says why', async () => {
  await using vm = await boot(direct(await screenGuest()));
  await vm.snapshot('base');
  await run(vm, 'mark=1');
  expect((await vm.snapshot('whole')).reason).toMatch(
    new RegExp(`^${ALL}: it has memory beside its RAM: .*vga\\.vram$`),
  );
  const fork = await vm.fork('whole');
  expect(await run(fork, 'echo "mark $mark"')).toMatch(/mark 1/);
  await fork.close();
});

async function screenGuest() {
  return {
    name: 'tiny-screen',
    ...(await makeTinyGuest(dir)),
    append: 'console=ttyS0 quiet',
    cpus: 1,
    memoryMiB: MEMORY_MIB,
    login: { prompt: /tiny# $/ },
    display: 'std' as const,
  };
}

/** One hash for the RAM below the hole of VGA and firmware, one for that above it. */
function ramHashes(path: string): readonly string[] {
  const ram = readFileSync(path);
  return [ram.subarray(0, 0xa0000), ram.subarray(0x10_0000)].map((part) =>
    createHash('sha256').update(part).digest('hex'),
  );
}
