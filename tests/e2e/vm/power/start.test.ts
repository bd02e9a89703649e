import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, direct, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTinyGuest } from '../../../support/tiny-guest.js';

const PROMPT = /tiny# $/;
let dir: string;
let vm: Vm;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-start-'));
  const { kernel, initrd } = await makeTinyGuest(dir);
  const disk = join(dir, 'disk.raw');
  writeFileSync(disk, '');
  truncateSync(disk, 2 ** 20);
  vm = await boot(
    direct({
      name: 'tiny',
      kernel,
      initrd,
      append: 'console=ttyS0 quiet',
      disks: [{ id: 'disk', file: disk, format: 'raw' }],
      login: { prompt: PROMPT },
      ports: [80],
    }),
  );
  await drivers(vm);
});
afterAll(async () => {
  await vm?.close();
  rmSync(dir, { recursive: true, force: true });
});

async function say(machine: Vm, command: string): Promise<string> {
  await machine.console.type(`${command}\n`);
  return (await machine.console.expect(PROMPT, { timeout: '60s' })).before;
}

const drivers = (machine: Vm) =>
  say(machine, 'while read -r module; do busybox insmod "/modules/$module" 2> /dev/null; done < /modules/order');
const write = (machine: Vm, text: string) =>
  say(machine, `busybox printf '${text} ' | busybox dd of=/dev/vda conv=fsync 2> /dev/null`);
const read = (machine: Vm) => say(machine, 'busybox head -c 6 /dev/vda');

async function turnOff(machine: Vm): Promise<void> {
  await machine.console.type('busybox poweroff -f\n');
  await machine.poweroff({ via: 'none', timeout: '60s' });
  expect(machine.state).toBe('off');
}

describe('vm.start', () => {
  it('refuses a VM that runs', async () => {
    await expect(vm.start()).rejects.toMatchObject({ code: 'USAGE', message: expect.stringContaining('is running') });
  });

  it('boots a guest that has powered off, with its disk and its forwarded ports', async () => {
    await write(vm, 'first');
    const { port } = await vm.forward(80);
    const { pid } = vm;
    await turnOff(vm);
    await vm.start();
    expect(vm.state).toBe('running');
    expect(vm.pid).not.toBe(pid);
    await drivers(vm);
    expect(await read(vm)).toContain('first');
    expect(await vm.forward(80)).toMatchObject({ port });
  });

  it('boots a fork on the disk of the fork, and the snapshot stays what it was', async () => {
    await vm.snapshot('first');
    await using fork = await vm.fork('first');
    await write(fork, 'fork');
    await turnOff(fork);
    await fork.start();
    await drivers(fork);
    expect(await read(fork)).toContain('fork');
    await fork.restore('first');
    expect(await read(fork)).toContain('first');
    expect(await read(vm)).toContain('first');
  });
});
