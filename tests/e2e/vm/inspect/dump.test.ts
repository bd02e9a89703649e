import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Vm } from '@qmpilot/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isRoot, mountSmall, unmount } from '../../../support/host-tools.js';
import { bootTinyGuest } from '../../../support/tiny-guest.js';

let dir = '';
let vm: Vm;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-dump-'));
  vm = await bootTinyGuest(dir);
});
afterAll(async () => {
  await vm.close();
  rmSync(dir, { recursive: true, force: true });
});

const dumps = (folder: string) => readdirSync(folder).filter((name) => name.startsWith('memory'));

it.skipIf(!isRoot)('says that the disk is full, leaves no file, and lets the guest run on', async () => {
  const small = join(dir, 'small');
  expect(mountSmall(small, 8)).toBeUndefined();
  try {
    await expect(vm.dump(join(small, 'memory.elf'))).rejects.toMatchObject({
      code: 'NO_SPACE',
      message: expect.stringMatching(/^QEMU did not write the dump: .*No space left on device/),
    });
    expect(dumps(small)).toEqual([]);
  } finally {
    unmount(small);
  }
  await vm.console.type('echo $((6*7))\n');
  await vm.console.expect('42');
});

it('names the directory that does not exist', async () => {
  await expect(vm.dump(join(dir, 'none', 'memory.elf'))).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: `cannot dump to ${join(dir, 'none', 'memory.elf')}: directory ${join(dir, 'none')} not found`,
  });
});

it('leaves no file of a dump that is cancelled while QEMU begins it', async () => {
  const controller = new AbortController();
  // QEMU sends the event before it answers the command.
  const unsubscribe = vm.qmp.on('STOP', () => controller.abort());
  try {
    const cancelled = vm.dump(join(dir, 'memory.elf'), { signal: controller.signal });
    await expect(cancelled).rejects.toMatchObject({ code: 'ABORTED' });
  } finally {
    unsubscribe();
  }
  expect(dumps(dir)).toEqual([]);
  expect(await vm.qmp.execute('query-status')).toMatchObject({ running: true });
});

it('ends when the guest is paused for another reason as soon as the dump is written', async () => {
  const path = join(dir, 'memory.elf');
  const unsubscribe = vm.qmp.on('DUMP_COMPLETED', () => void vm.qmp.execute('stop'));
  try {
    await vm.dump(path);
  } finally {
    unsubscribe();
  }
  expect(statSync(path).size).toBeGreaterThan(256 << 20);
  rmSync(path);
  await vm.resume();
});

it('leaves no file when QEMU is killed while it writes', async () => {
  const onProgress = () => void process.kill(vm.pid, 'SIGKILL');
  await expect(vm.dump(join(dir, 'memory.elf'), { onProgress })).rejects.toMatchObject({ code: 'QEMU_EXITED' });
  expect(dumps(dir)).toEqual([]);
});
