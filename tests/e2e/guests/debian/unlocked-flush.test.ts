import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { boot, debian, direct, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OVERFLOW } from '../../../support/ring-overflow.js';
import { makeTinyGuest } from '../../../support/tiny-guest.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const DEFECT = 'io-uring-unlocked-flush';

describe('io-uring-unlocked-flush on the kernel of the image', () => {
  let vm: Vm;
  beforeAll(async () => {
    vm = await boot(debian({ defect: DEFECT }), { cache: true });
    await vm.expectOk('cat > /root/overflow.js', { input: OVERFLOW });
  });
  afterAll(() => vm?.close());

  const counter = async () =>
    Number((await vm.expectOk('cat /sys/module/io_uring_unlocked_flush/parameters/unlocked')).stdout);
  const probes = async () => (await vm.expectOk('cat /sys/kernel/debug/kprobes/list')).stdout.match(/io_uring_enter/g);

  it('skips the two calls at each of three places, and restores the kernel when it is unloaded', async () => {
    await vm.expectOk('/usr/lib/qmpilot/load-defect; /usr/lib/qmpilot/load-defect');
    expect(await counter()).toBe(0);
    expect(await probes()).toHaveLength(6);
    await vm.expectOk('rmmod io_uring_unlocked_flush');
    expect(await probes()).toBeNull();
    await vm.expectOk('npm ci', { cwd: '/root/project', env: { UV_USE_IO_URING: '1' }, timeout: '5m' });
  });

  it('makes the kernel lose the lock of a ring that overflows; it can be unloaded then too', async () => {
    await vm.expectOk('/usr/lib/qmpilot/load-defect');
    await using watch = vm.watch({ hungTask: false, dState: { comm: /iou-sqp/, for: '5s' } });
    await vm.expectOk('UV_USE_IO_URING=1 setsid node /root/overflow.js > /dev/null 2>&1 &');
    const { title } = await watch.first({ kind: 'd-state', timeout: '5m' });
    expect(title).toMatch(/^D state: iou-sqp-\d+ .* in io_sq_thread$/);
    expect(await counter()).toBeGreaterThan(0);
    await vm.expectOk('rmmod io_uring_unlocked_flush');
    expect(await probes()).toBeNull();
  });
});

it('is not loaded on a kernel with other code, and says what it found there', async (context) => {
  const { status, stdout } = spawnSync(
    'sh',
    [join(ROOT, 'tools/debian/build-module.sh'), 'bookworm-backports', DEFECT],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (status === 125) return context.skip('no kernel of bookworm-backports, or no compiler');
  const folder = stdout.trim();
  const module = readdirSync(folder).find((name) => name.endsWith('.ko')) ?? '';
  const dir = mkdtempSync(join(tmpdir(), 'qmpilot-refusal-'));
  try {
    const { initrd } = await makeTinyGuest(dir, { 'module.ko': readFileSync(join(folder, module)) });
    await using vm = await boot(
      direct({
        name: 'backports',
        kernel: join(folder, 'vmlinuz'),
        initrd,
        append: 'console=ttyS0 loglevel=7',
        cpus: 1,
        memoryMiB: 256,
        login: { prompt: /tiny# $/ },
      }),
    );
    await vm.console.type('uname -r; busybox insmod /module.ko; echo "status $?"\n');
    const { before } = await vm.console.expect(/status [1-9]/);
    expect(before).toMatch(/^6\.(?!1\.)\d+\./m);
    expect(before).toMatch(/io_uring_unlocked_flush: not loaded: /);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
