import { boot, debian, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';

let vm: Vm;

beforeAll(async () => {
  vm = await boot(debian(), { cache: true });
  await vm.expectOk('modprobe loop; truncate -s 16M /run/disk; mke2fs -q /run/disk; mount -o loop /run/disk /mnt');
});

afterAll(() => vm?.close());

/** A process that is in D state until the file system is thawed. */
async function block(): Promise<void> {
  await vm.expectOk(
    'fsfreeze -f /mnt; (touch /mnt/stuck </dev/null >/dev/null 2>&1 &); until grep -qs "(touch) D" /proc/[0-9]*/stat; do sleep 0.01; done',
  );
}

beforeEach(() => async () => {
  await vm.exec('fsfreeze -u /mnt');
});

const watchTouch = (forMs: number) => vm.watch({ hungTask: false, dState: { comm: /^touch$/, for: forMs } });

it('a wait whose time is over continues until a thread in D state has become a finding', async () => {
  await using watch = watchTouch(4000);
  await block();
  await expect.poll(() => watch.candidates, { timeout: 60_000 }).toMatchObject([{ kind: 'd-state' }]);
  expect(watch.findings).toEqual([]);
  expect(await watch.first({ timeout: 1 })).toMatchObject({ kind: 'd-state', task: { comm: 'touch' } });
  expect(watch.candidates).toEqual([]);
  expect(await watch.awaitCandidates()).toEqual([]);
});

it('a wait whose time is over sees a thread that has been in D state since the last sample only', async () => {
  await using watch = watchTouch(4000);
  await expect.poll(() => watch.lastSample, { timeout: 60_000 }).toBeDefined();
  await block();
  expect(await watch.first({ timeout: 1 })).toMatchObject({ kind: 'd-state', task: { comm: 'touch' } });
});

it('a wait whose time is over ends with the thread that leaves D state in time', async () => {
  await using watch = watchTouch(120_000);
  await block();
  await expect.poll(() => watch.candidates, { timeout: 60_000 }).toHaveLength(1);
  const waits = [watch.first({ timeout: 1 }).catch((error: unknown) => error), watch.awaitCandidates()];
  await vm.expectOk('fsfreeze -u /mnt');
  expect(await Promise.all(waits)).toMatchObject([{ code: 'TIMEOUT', message: expect.stringMatching(/finding$/) }, []]);
});

it('an end of QEMU ends the wait for candidates', async () => {
  await vm.snapshot('candidates');
  await using fork = await vm.fork('candidates');
  await fork.expectOk('fsfreeze -f /mnt; (touch /mnt/stuck </dev/null >/dev/null 2>&1 &)');
  await using watch = fork.watch({ dState: { comm: /^touch$/, for: '10m' } });
  await expect.poll(() => watch.candidates, { timeout: 60_000 }).toHaveLength(1);
  const waits = Promise.all([watch.first({ timeout: 1 }).catch((error: unknown) => error), watch.awaitCandidates()]);
  process.kill(fork.pid, 'SIGKILL');
  expect(await waits).toMatchObject([{ code: 'QEMU_EXITED' }, []]);
});
