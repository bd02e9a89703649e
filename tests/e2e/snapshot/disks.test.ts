import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, direct, openSnapshot, runScenario, type GuestDescription, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leftovers, leftoversSince } from '../../support/leftovers.js';
import { makeTinyGuest } from '../../support/tiny-guest.js';

let dir: string;
let guest: GuestDescription;
const at = (name: string) => join(dir, name);
/** What a second QEMU cannot have: the snapshots of such a VM are internal. */
const exclusive = (name: string) => ['-chardev', `socket,id=own,path=${at(name)},server=on,wait=off`];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-disks-test-'));
  for (const name of ['first.raw', 'constant.raw', 'mine.raw']) writeFileSync(at(name), Buffer.alloc(1 << 20, name));
  guest = direct({
    name: 'tiny',
    ...(await makeTinyGuest(dir)),
    append: 'console=ttyS0 quiet',
    cpus: 1,
    memoryMiB: 128,
    login: { prompt: /tiny# $/ },
    disks: [
      { id: 'first', file: at('first.raw'), format: 'raw' },
      { id: 'constant', file: at('constant.raw'), format: 'raw', readOnly: true },
    ],
  });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function run(vm: Vm, command: string): Promise<string> {
  const nonce = Math.random().toString(36).slice(2);
  await vm.console.type(`${command}; echo "<""${nonce}""$?>"\n`);
  const { before, groups } = await vm.console.expect(new RegExp(`<${nonce}(\\d+)>`), { timeout: '30s' });
  if (groups[0] !== '0') throw new Error(`${command}: ${before}`);
  return before;
}

const withDisks = (vm: Vm) =>
  run(
    vm,
    'while read m; do busybox insmod /modules/$m; done < /modules/order; until [ -b /dev/vdb ]; do busybox sleep 0.1; done',
  );
const write = (vm: Vm, disk: string, text: string) =>
  run(vm, `echo ${text} | busybox dd of=/dev/${disk} conv=notrunc,fsync`);
/** The caches of a restored guest are those of its RAM: the disk itself is read. */
const read = async (vm: Vm, disk: string) =>
  /^((?:mine|first|constant|one|two|three)\S*)/m.exec(
    await run(vm, `busybox dd if=/dev/${disk} iflag=direct bs=4096 count=1 2>/dev/null | busybox head -c 16; echo`),
  )?.[1];

describe('a guest with several disks, one of them read-only', () => {
  it('has them as they were in forks, after restores and from a saved snapshot; damaged files of that are named', async () => {
    const before = leftovers();
    {
      await using vm = await boot(guest);
      await withDisks(vm);
      await write(vm, 'vda', 'one');
      await expect(write(vm, 'vdb', 'x')).rejects.toThrow();
      const snapshot = await vm.snapshot('s');
      await write(vm, 'vda', 'two');
      await snapshot.save(at('kept'));
      const fork = await vm.fork('s');
      expect([fork && (await read(fork, 'vda')), fork && (await read(fork, 'vdb'))]).toEqual([
        'one',
        expect.stringMatching(/^constant/),
      ]);
      await fork.close();
      await vm.restore('s');
      expect(await read(vm, 'vda')).toBe('one');
    }
    await using opened = await openSnapshot(at('kept'));
    const again = await opened.fork();
    expect([again && (await read(again, 'vda')), again && (await read(again, 'vdb'))]).toEqual([
      'one',
      expect.stringMatching(/^constant/),
    ]);
    await again.close();
    await opened.close();
    expect(leftoversSince(before)).toEqual([]);

    const damaged = async (damage: (copy: string) => void) => {
      rmSync(at('copy'), { recursive: true, force: true });
      cpSync(at('kept'), at('copy'), { recursive: true });
      damage(at('copy'));
      return openSnapshot(at('copy')).then(
        (one) => one.close().then(() => 'opened'),
        (error: unknown) => error,
      );
    };
    expect(await damaged(() => {})).toBe('opened');
    const flip = (name: string) => (copy: string) => {
      const bytes = readFileSync(join(copy, name));
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0x40;
      writeFileSync(join(copy, name), bytes);
    };
    expect(await damaged(flip('state'))).toMatchObject({
      code: 'SNAPSHOT',
      message: expect.stringMatching(/is incomplete: state has different contents/),
    });
    expect(await damaged(flip('first.qcow2'))).toMatchObject({
      code: 'SNAPSHOT',
      message: expect.stringMatching(/is incomplete: first\.qcow2 has different contents/),
    });
    expect(await damaged((copy) => truncateSync(join(copy, 'ram'), 1 << 20))).toMatchObject({
      code: 'SNAPSHOT',
      message: expect.stringMatching(/is incomplete: ram has 1048576 bytes instead of 134217728/),
    });
    expect(await damaged((copy) => rmSync(join(copy, 'first.qcow2')))).toMatchObject({
      code: 'SNAPSHOT',
      message: expect.stringMatching(/is incomplete: first\.qcow2 is missing/),
    });
    expect(leftoversSince(before)).toEqual([]);
  });
});

describe('an internal snapshot', () => {
  it('is refused where the guest writes to a disk that it would not hold, and does not load once it has', async () => {
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', at('theirs.qcow2'), '4M']);
    await using vm = await boot(guest, {
      qemuArguments: [
        ...exclusive('a'),
        '-drive',
        `file=${at('mine.raw')},format=raw,if=virtio`,
        '-drive',
        `file=${at('theirs.qcow2')},format=qcow2,if=virtio`,
      ],
    });
    await withDisks(vm);
    await run(vm, 'until [ -b /dev/vdd ]; do busybox sleep 0.1; done');
    await write(vm, 'vda', 'one');
    await write(vm, 'vdd', 'one');
    expect(await vm.snapshotBlockers()).toEqual([]);
    const reason: unknown = expect.stringMatching(/^a second QEMU cannot have a socket/);
    expect(await vm.snapshotBlockers({ strategy: 'template' })).toContainEqual(expect.objectContaining({ reason }));
    await expect(vm.snapshot('refused', { strategy: 'template' })).rejects.toMatchObject({
      code: 'SNAPSHOT',
      message: expect.stringMatching(/a second QEMU cannot have a socket/),
    });
    expect(await vm.snapshot('fits')).toMatchObject({
      strategy: 'internal',
      reason: expect.stringMatching(/a second QEMU cannot have/),
    });
    await write(vm, 'vda', 'two');
    await write(vm, 'vdd', 'two');
    await vm.restore('fits');
    expect([await read(vm, 'vda'), await read(vm, 'vdd')]).toEqual(['one', 'one']);
    await write(vm, 'vdc', 'three');
    await expect(vm.restore('fits')).rejects.toMatchObject({
      code: 'SNAPSHOT',
      message: expect.stringMatching(/has written to a disk that is not in this internal snapshot \(.*mine\.raw\)/),
    });
    // It continues as it was.
    expect(await read(vm, 'vdc')).toBe('three');
    expect(await vm.snapshotBlockers()).toEqual([
      {
        reason: expect.stringMatching(/the guest writes to a disk in another format \(.*mine\.raw\)/),
        remedy: expect.stringMatching(/qcow2/),
      },
    ]);
    await expect(vm.snapshot('no')).rejects.toMatchObject({
      code: 'SNAPSHOT',
      message: expect.stringMatching(/mine\.raw/),
    });
    await vm.close();
    // The image is another's: nothing of ours stays in it.
    expect(execFileSync('qemu-img', ['snapshot', '-l', at('theirs.qcow2')], { encoding: 'utf8' })).not.toContain(
      'qmpilot',
    );
  });

  it('carries a run of attempts, one at a time; an attempt whose QEMU dies is one inconclusive one, and the guest is booted again', async () => {
    const before = leftovers();
    let boots = 0;
    const summary = await runScenario(
      {
        name: 'inside',
        guest,
        boot: { qemuArguments: exclusive('b') },
        prepare: async (vm) => {
          boots += 1;
          await withDisks(vm);
          await run(vm, 'mark=0');
        },
        attempt: async (vm, { index }) => {
          if (!/^0\r?$/m.test(await run(vm, 'echo "$mark"; mark=1'))) throw new Error('not the prepared guest');
          if (index !== 2) return;
          process.kill(vm.pid, 'SIGKILL');
          await run(vm, 'never');
        },
      },
      { attempts: 5, forks: 4, dir: at('run') },
    );
    expect(summary).toMatchObject({ clean: 4, inconclusive: 1 });
    expect(boots).toBe(2);
    expect(leftoversSince(before)).toEqual([]);
  });
});
