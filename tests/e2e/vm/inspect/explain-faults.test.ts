import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Vm } from '@qmpilot/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { bootTinyGuest } from '../../../support/tiny-guest.js';

let dir = '';
let vm: Vm;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-explain-'));
  vm = await bootTinyGuest(dir, { append: 'pti=on', cpus: 2 });
});
afterAll(async () => {
  await vm.close();
  rmSync(dir, { recursive: true, force: true });
});

const isRunning = async () => (await vm.qmp.execute('query-status')).running;

it('reads the memory of a guest with page-table isolation while its CPUs run programs', async () => {
  await vm.console.type('busybox dmesg | busybox grep -c "page tables isolation: enabled"\n');
  await vm.console.expect(/^1\r?$/m);
  await vm.console.type('for i in 1 2 3; do (while :; do :; done) & done; echo "begun $((6*7))"\n');
  await vm.console.expect('begun 42');
  const { tasks } = await vm.explain();
  for (let round = 0; round < 20; round += 1) {
    const explanation = await vm.explain();
    expect(explanation).toMatchObject({ tasks, stuck: [], notes: [] });
  }
  await vm.console.type('kill %1 %2 %3; echo "ended $((6*7))"\n');
  await vm.console.expect('ended 42');
});

it('lets the guest run on when it is cancelled while QEMU pauses it', async () => {
  const controller = new AbortController();
  // QEMU sends the event before it answers the command.
  const unsubscribe = vm.qmp.on('STOP', () => controller.abort());
  try {
    await expect(vm.explain({ signal: controller.signal })).rejects.toMatchObject({ code: 'ABORTED' });
  } finally {
    unsubscribe();
  }
  expect(await isRunning()).toBe(true);
});

it('takes its turn with other explanations, a dump, a snapshot and a restore', async () => {
  await vm.snapshot('before');
  const explanations = [vm.explain(), vm.explain()];
  const others = [vm.dump(join(dir, 'memory.elf')), vm.snapshot('meanwhile'), vm.restore('before')];
  explanations.push(vm.explain(), vm.explain());
  await Promise.all(others);
  for (const { stuck, notes, tasks } of await Promise.all(explanations)) {
    expect({ stuck, notes }).toEqual({ stuck: [], notes: [] });
    expect(tasks).toBeGreaterThan(10);
  }
  expect(await isRunning()).toBe(true);
});

it('says that QEMU has ended when it is killed meanwhile', async () => {
  vm.qmp.on('STOP', () => process.kill(vm.pid, 'SIGKILL'));
  await expect(vm.explain()).rejects.toMatchObject({ code: 'QEMU_EXITED' });
});
