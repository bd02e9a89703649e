import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, direct, TimeoutError, type Vm } from '@qmpilot/core';
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
async function work(timeout: string | number, steps: number): Promise<void> {
  turn += 1;
  await vm.console.type(`n=0; while [ $n -lt ${steps} ]; do n=$((n + 1)); done; echo "turn ${turn} of $((6 * 7))"\n`);
  await vm.console.expect(`turn ${turn} of 42`, { timeout });
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
  it('is waited for beyond the limit, as it could do little in that time, and the error says so when it is too much', async () => {
    const end = starve();
    try {
      const begun = performance.now();
      await work('10m', steps);
      const starvedMs = performance.now() - begun;
      await work(0.6 * starvedMs, steps);
      await expect(work(0.3 * starvedMs, 3 * steps)).rejects.toMatchObject({
        code: 'TIMEOUT',
        message: expect.stringMatching(
          /^timed out after .* waiting for "turn .*; QEMU got no processor time, or was stopped, for .* of it$/,
        ),
      });
    } finally {
      end();
    }
    await vm.console.expect(`turn ${turn} of 42`, { timeout: '5m' });
  });
});

it('what was not starved of a wait is as long as was said, whatever else the host has to do', async () => {
  const error: unknown = await vm.console.expect('never', { timeout: 1500 }).catch((thrown: unknown) => thrown);
  if (!(error instanceof TimeoutError)) throw error;
  const counted = error.waitedMs - error.starvedMs;
  expect(counted).toBeGreaterThan(1400);
  expect(counted).toBeLessThan(1500 + 1000);
});
