import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, direct, TimeoutError, type Vm, type WaitOptions } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTinyGuest } from '../../support/tiny-guest.js';

let dir: string;
let vm: Vm;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-starvation-'));
  const guest = await makeTinyGuest(dir);
  vm = await boot(
    direct({
      name: 'tiny',
      ...guest,
      append: 'console=ttyS0 quiet',
      cpus: 1,
      memoryMiB: 128,
      login: { prompt: /tiny# $/ },
    }),
  );
});
afterAll(async () => {
  await vm?.close();
  rmSync(dir, { recursive: true, force: true });
});

let turn = 0;

/** Counts, which takes the guest's processor and nothing else. */
async function work(wait: WaitOptions, steps: number): Promise<void> {
  turn += 1;
  await vm.console.type(`n=0; while [ $n -lt ${steps} ]; do n=$((n + 1)); done; echo "turn ${turn} of $((6 * 7))"\n`);
  await vm.console.expect(`turn ${turn} of 42`, wait);
}

/** Lets QEMU run for a quarter of the time. */
function stopAndGo(): () => void {
  const { pid } = vm;
  let running = true;
  let timer: NodeJS.Timeout;
  const turnOver = () => {
    running = !running;
    process.kill(pid, running ? 'SIGCONT' : 'SIGSTOP');
    timer = setTimeout(turnOver, running ? 100 : 300);
  };
  turnOver();
  return () => {
    clearTimeout(timer);
    process.kill(pid, 'SIGCONT');
  };
}

/** QEMU on one processor together with six others that want all of it. */
function crowd(): () => void {
  spawnSync('taskset', ['-a', '-p', '-c', '0', String(vm.pid)]);
  const loops = Array.from({ length: 6 }).map(() =>
    spawn('taskset', ['-c', '0', 'sh', '-c', 'while :; do :; done'], { stdio: 'ignore' }),
  );
  return () => {
    for (const loop of loops) loop.kill('SIGKILL');
    spawnSync('taskset', ['-a', '-p', 'ffffffff', String(vm.pid)]);
  };
}

// So many steps that what is starved is seconds: it is looked at four times in each.
describe.each([
  ['stopped and continued again and again', stopAndGo, 30_000],
  ['in a crowd on one processor', crowd, 120_000],
] as const)('a QEMU that is %s', (_, starve, steps) => {
  it('is waited for beyond a limit of our own, and no longer than the caller said, whose error says how long it was starved', async () => {
    const end = starve();
    try {
      let starvedMs = 0;
      for (let i = 0; i < 2; i += 1) {
        const begun = performance.now();
        await work({ timeout: '10m' }, steps);
        starvedMs = Math.max(starvedMs, performance.now() - begun);
      }
      // The property of our own limits, which callers are not offered.
      await work({ patience: 0.8 * starvedMs }, steps);
      const called = performance.now();
      const limitMs = Math.round(0.5 * starvedMs);
      const error: unknown = await work({ timeout: limitMs }, 3 * steps).catch((thrown: unknown) => thrown);
      if (!(error instanceof TimeoutError)) throw error;
      expect(error.message).toMatch(
        /^timed out after .* waiting for "turn .*; QEMU got no processor time, or was stopped, for .* of it$/,
      );
      expect(error.waitedMs).toBeGreaterThanOrEqual(limitMs);
      expect(error.waitedMs).toBeLessThan(limitMs + 1000);
      expect(performance.now() - called).toBeLessThan(limitMs + 2000);
      expect(error.starvedMs).toBeLessThanOrEqual(error.waitedMs);
    } finally {
      end();
    }
    await vm.console.expect(`turn ${turn} of 42`, { timeout: '5m' });
  });
});

it('lasts as long as the caller said, whatever else the host has to do', async () => {
  const error: unknown = await vm.console.expect('never', { timeout: 1500 }).catch((thrown: unknown) => thrown);
  if (!(error instanceof TimeoutError)) throw error;
  expect(error.waitedMs).toBeGreaterThanOrEqual(1500);
  expect(error.waitedMs).toBeLessThan(1500 + 1000);
});
