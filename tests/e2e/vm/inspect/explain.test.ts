import { boot, debian, type Snapshot, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OVERFLOW } from '../../../support/ring-overflow.js';

describe('the Debian guest with a defect', () => {
  let vm: Vm | undefined;
  let snapshot: Snapshot;
  beforeAll(async () => {
    vm = await boot(debian({ defect: 'io-uring-unlocked-flush' }), { cache: true });
    await vm.expectOk('cat > /root/overflow.js', { input: OVERFLOW });
    snapshot = await vm.snapshot('ready');
  });
  afterAll(() => vm?.close());

  it('names the task that left the lock of its ring locked', async () => {
    await using fork = await snapshot.fork();
    await fork.expectOk('/usr/lib/qmpilot/load-defect');
    await fork.expectOk('UV_USE_IO_URING=1 setsid node /root/overflow.js > /dev/null 2>&1 &');
    const found = await fork.until(
      async () => {
        const explanation = await fork.explain();
        const waiter = explanation.stuck.find(({ task: { comm } }) => comm.startsWith('iou-sqp-'));
        return waiter?.waitsFor?.owners[0]?.leftLocked !== undefined && { explanation, waiter };
      },
      { timeout: '5m', awaited: 'node to leave the kernel with the ring locked' },
    );
    expect(found.waiter.waitsFor).toMatchObject({
      kind: 'mutex',
      name: 'struct io_ring_ctx.uring_lock',
      recorded: 'owner',
      owners: [{ task: { comm: 'node', pid: found.waiter.task.tgid }, leftLocked: expect.any(String) }],
    });
    expect(found.explanation.sentences.join('\n')).toMatch(
      /^iou-sqp-\d+ \(\d+\) waits for the mutex at [0-9a-f]{16} \(struct io_ring_ctx\.uring_lock\).*; node \(\d+\) holds it, and .*(?:left the kernel with the lock held|left it locked)\.$/m,
    );
  });

  it('leaves a guest paused that was paused, and refuses options that it does not have', async () => {
    await using fork = await snapshot.fork();
    await fork.pause();
    expect((await fork.explain()).pausedMs).toBe(0);
    expect(await fork.qmp.execute('query-status')).toMatchObject({ running: false });
    await fork.resume();
    await expect(fork.explain({ minwait: 1 } as never)).rejects.toMatchObject({ code: 'USAGE' });
  });
});

/** The two kernels lay out their locks, tasks and unwind tables differently. */
describe.each([
  { kernel: 'linux-image-cloud-amd64', release: /^6\.1\./ },
  // QEMU before 8.1 now and then crashes 6.12 on several CPUs.
  { kernel: 'linux-image-6.12-cloud-amd64', release: /^6\.12\./, cpus: 1 },
])('the Debian guest with $kernel', ({ release, ...options }) => {
  let vm: Vm | undefined;
  let snapshot: Snapshot;
  beforeAll(async () => {
    vm = await boot(debian(options), { cache: true });
    expect((await vm.kernel()).release).toMatch(release);
    await vm.expectOk('cat > /root/overflow.js', { input: OVERFLOW });
    snapshot = await vm.snapshot('ready');
  });
  afterAll(() => vm?.close());

  it('names the file system that fsfreeze has frozen, while the root shell of the guest is stopped', async () => {
    await using fork = await snapshot.fork();
    await fork.expectOk(
      'modprobe loop && truncate -s 64M /root/image && mke2fs -q -t ext4 /root/image && mount -o loop /root/image /mnt && fsfreeze -f /mnt',
    );
    await fork.expectOk('setsid sh -c "echo text > /mnt/file" > /dev/null 2>&1 &');
    await fork.expectOk('until grep -q percpu_rwsem_wait /proc/[0-9]*/wchan; do sleep 0.1; done');
    await fork.expectOk('(sleep 1; systemctl stop qmpilot-shell@hvc0 qmpilot-shell@hvc1) > /dev/null 2>&1 &');
    const waiter = await fork.until(async () =>
      (await fork.explain({ minWait: '1s' })).stuck.find(({ waitsFor }) => waitsFor?.kind === 'percpu-rw-semaphore'),
    );
    expect(waiter).toMatchObject({
      task: { comm: 'sh' },
      waitsFor: {
        access: 'read',
        name: 'struct super_block.s_writers.rw_sem[0] of loop0 (ext4), which is frozen',
        owners: [],
      },
    });
  });

  it('names no holder in a healthy guest under load', async () => {
    await using fork = await snapshot.fork();
    await fork.expectOk('UV_USE_IO_URING=1 setsid node /root/overflow.js > /dev/null 2>&1 &');
    await fork.expectOk(
      '(while :; do dd if=/dev/zero of=/root/data bs=1M count=64 conv=fsync; done) > /dev/null 2>&1 &',
    );
    for (let round = 0; round < 5; round += 1) {
      const { stuck, cycles, pausedMs } = await fork.explain();
      expect(stuck.flatMap(({ waitsFor }) => waitsFor?.owners ?? [])).toEqual([]);
      expect(cycles).toEqual([]);
      expect(pausedMs).toBeGreaterThanOrEqual(0);
    }
    expect(fork.state).toBe('running');
    await fork.expectOk('true');
  });
});
