import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, direct, openSnapshot, type GuestDescription, type SnapshotStrategy, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { otherQemu } from '../contract/other-qemu.js';
import { makeTinyGuest } from './tiny-guest.js';

let folder: string;
let guest: GuestDescription;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'snapshot-contract-'));
  guest = direct({ name: 'tiny', ...(await makeTinyGuest(folder)), append: 'console=ttyS0 quiet', cpus: 1, memoryMiB: 128, login: { prompt: /tiny# $/ } });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What is in a variable of the guest's shell: nothing but RAM has it. */
async function value(vm: Vm): Promise<string | undefined> {
  await vm.console.type('echo "<$mark>"\n');
  return (await vm.console.expect(/<(\d*)>/, { timeout: '30s' })).groups[0];
}

async function set(vm: Vm, mark: string): Promise<void> {
  await vm.console.type(`mark=${mark}; echo "set to $mark."\n`);
  await vm.console.expect(`set to ${mark}.`, { timeout: '30s' });
}

async function sha256(path: string): Promise<string> {
  return createHash('sha256').update(await readFile(path)).digest('hex');
}

describe.each([
  ["the host's QEMU", () => undefined],
  ["Debian's newer QEMU", () => otherQemu().system],
])('snapshots on %s', (_name, qemuOf) => {
  const qemu = qemuOf();

  it.each<SnapshotStrategy>(['template', 'file'])('%s: forks and restores are the guest of that moment, and write nothing to it', async (strategy) => {
    await using vm = await boot(guest, { qemu });
    await set(vm, '41');
    const snapshot = await vm.snapshot('one', { strategy });
    const kept = join(folder, `${strategy}-${qemu === undefined ? 'host' : 'other'}`);
    await snapshot.keep(kept);
    const files = strategy === 'template' ? ['ram', 'state'] : ['state'];
    const before = await Promise.all(files.map((name) => sha256(join(kept, name))));
    await set(vm, '42');
    const forks = await vm.fork('one', { count: 2 });
    for (const fork of forks) {
      expect(await value(fork)).toBe('41');
      await set(fork, '43');
    }
    expect(await value(vm)).toBe('42');
    await vm.restore('one');
    expect(await value(vm)).toBe('41');
    await Promise.all(forks.map((fork) => fork.close()));

    await using opened = await openSnapshot(kept, { qemu });
    const [again] = await opened.fork();
    expect(again && (await value(again))).toBe('41');
    await again?.close();
    expect(await Promise.all(files.map((name) => sha256(join(kept, name))))).toEqual(before);
  });
});

it('what one QEMU has saved another refuses, both named', async () => {
  const { version } = JSON.parse(await readFile(join(folder, 'template-host', 'manifest.json'), 'utf8')).qemu.match(/^(?<version>[\d.]+)/).groups;
  await expect(openSnapshot(join(folder, 'template-host'), { qemu: otherQemu().system })).rejects.toMatchObject({
    code: 'SNAPSHOT', message: expect.stringMatching(new RegExp(`saved by QEMU ${version.replaceAll('.', '\\.')} .*machine pc-q35-.*this is QEMU 1\\d\\.`)),
  });
});
