import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, direct, type Vm } from '@qmpilot/core';
import type { LifeState } from '@qmpilot/core/detect';
import { afterAll, beforeAll, expect, it } from 'vitest';

/**
 * A boot sector that shows `>` on the serial line and obeys one letter: `w` starts the ib700 watchdog with 2 s and rests, `p` tells pvpanic of a
 * panic and rests, `h` rests with interrupts off, any other spins.
 */
const PROGRAM = [
  [0xfa], //                                 cli
  [0xba, 0xf8, 0x03, 0xb0, 0x3e, 0xee], //   out 0x3f8, '>'
  [0xb0, 0x0a, 0xee], //                     out 0x3f8, '\n'
  [0xba, 0xfd, 0x03], //                     poll: dx = line status
  [0xec, 0xa8, 0x01, 0x74, 0xf8], //         in al, dx; test al, 1; jz poll
  [0xba, 0xf8, 0x03, 0xec], //               in al, 0x3f8
  [0x3c, 0x77, 0x74, 0x0a], //               'w': watchdog
  [0x3c, 0x70, 0x74, 0x0d], //               'p': panic
  [0x3c, 0x68, 0x74, 0x0f], //               'h': rest
  [0xeb, 0xfe], //                           spin: jmp spin
  [0xba, 0x43, 0x04, 0xb0, 0x0e, 0xeb, 5], // watchdog: dx = 0x443, al = 0x0e; jmp out
  [0xba, 0x05, 0x05, 0xb0, 0x01], //         panic: dx = 0x505, al = 1
  [0xee], //                                 out: out dx, al
  [0xf4, 0xeb, 0xfd], //                     rest: hlt; jmp rest
].flat();

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'qmpilot-life-'));
  const disk = Buffer.alloc(1 << 20);
  disk.set(PROGRAM);
  disk.set([0x55, 0xaa], 510);
  await writeFile(join(dir, 'disk.raw'), disk);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function bareGuest(action: string): Promise<Vm> {
  const guest = direct({
    name: 'bare',
    disks: [{ id: 'disk', file: join(dir, 'disk.raw'), format: 'raw' }],
    cpus: 1,
    memoryMiB: 16,
  });
  const vm = await boot(guest, { qemuArguments: ['-device', 'ib700', '-action', `watchdog=${action}`] });
  await vm.console.expect('>', { timeout: '60s' });
  return vm;
}

it.concurrent.each<[string, string, LifeState, object, RegExp]>([
  [
    'a watchdog that ran out and stopped it',
    'w',
    'watchdog',
    { watchdog: 'pause', runState: 'watchdog' },
    /^the watchdog expired \(action pause\)$/,
  ],
  [
    'a panic that it told QEMU of',
    'p',
    'panicked',
    { pvpanic: true },
    /^the guest told QEMU that its kernel panicked$/,
  ],
  [
    'a virtual CPU that waits forever',
    'h',
    'idle',
    { runState: 'running' },
    /; its virtual CPU is idle: the guest waits for something$/,
  ],
  ['a virtual CPU that spins', 's', 'spinning', { runState: 'running' }, /1 of 1 virtual CPUs are always busy/],
])(
  'a guest without a kernel falls silent by %s: watch and diagnose say so',
  async (_, letter, state, signs, reason) => {
    await using vm = await bareGuest('pause');
    const watch = vm.watch({ kernelLog: false, hungTask: false, silence: { for: '3s' } });
    await vm.console.type(letter);
    expect(await watch.first({ kind: 'silence', timeout: '60s' })).toMatchObject({ signature: `silence: ${state}` });
    expect(await vm.diagnose({ quiet: '1s' })).toMatchObject({ state, signs, reason: expect.stringMatching(reason) });
  },
);

it.concurrent('a watchdog that does nothing but tell is known of while the guest continues', async () => {
  await using vm = await bareGuest('none');
  const ranOut = vm.qmp.waitFor('WATCHDOG', { timeout: 60_000 });
  await vm.console.type('w');
  await ranOut;
  expect(await vm.diagnose({ quiet: '1s' })).toMatchObject({
    state: 'watchdog',
    signs: { watchdog: 'none', runState: 'running' },
  });
});
