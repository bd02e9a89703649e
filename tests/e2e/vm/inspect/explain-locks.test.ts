import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { boot, direct, type Vm } from '@qmpilot/core';
import { explainDump, type StuckTask, type VmExplanation } from '@qmpilot/core/vm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { copyMemory, openProcessMemory } from '../../../../packages/core/src/vm/inspect/explain/guest-memory.js';
import { makeTinyGuest } from '../../../support/tiny-guest.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));

/** One task of an explanation, by the start of its name. */
function task(explanation: VmExplanation, comm: string): StuckTask {
  const found = explanation.stuck.find((one) => one.task.comm.startsWith(comm));
  if (!found) throw new Error(`${comm} is not among the stuck tasks:\n${explanation.sentences.join('\n')}`);
  return found;
}

/** A folder with a suite's kernel and the module; undefined where there is no such kernel, or no compiler. */
function buildModule(suite: string): string | undefined {
  const script = join(ROOT, 'tools/debian/build-module.sh');
  const { status, stdout } = spawnSync('sh', [script, suite, 'held-locks'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 125) expect(status).toBe(0);
  return status === 0 ? stdout.trim() : undefined;
}

describe.each([
  // Two CPUs: one spins for a spinlock forever.
  { suite: 'bookworm', release: /^6\.1\./, cpus: 2, spin: true },
  { suite: 'bookworm-backports', release: /^6\.(?!1\.)\d+\./, cpus: 1, spin: false },
])('locks of every kind on the kernel of $suite', ({ suite, release, cpus, spin }) => {
  const folder = buildModule(suite);
  let dir: string | undefined;
  let vm: Vm | undefined;
  let explanation: VmExplanation;
  beforeAll(async () => {
    if (folder === undefined) return;
    dir = mkdtempSync(join(tmpdir(), 'qmpilot-explain-'));
    const { initrd } = await makeTinyGuest(dir, { 'held_locks.ko': readFileSync(join(folder, 'held_locks.ko')) });
    vm = await boot(
      direct({
        name: 'locks',
        kernel: join(folder, 'vmlinuz'),
        initrd,
        append: 'console=ttyS0 loglevel=7 unknown_nmi_panic',
        cpus,
        memoryMiB: 256,
        login: { prompt: /tiny# $/ },
      }),
    );
    const cases = ['abba', 'reader', 'writer', 'percpu', 'semaphore', 'rt', 'completion', 'queue', 'bit', 'page'];
    if (spin) cases.push('spin');
    await vm.console.type(`busybox insmod /held_locks.ko cases=${cases.join(',')}; echo "status $?"\n`);
    await vm.console.expect(/status 0/);
    const running = vm;
    explanation = await running.until(async () => {
      const now = await running.explain({ minWait: 0 });
      return now.stuck.some((one) => one.task.comm === (spin ? 'spin-2' : 'page-2')) && now.cycles.length > 0 && now;
    });
  });
  // Status 125 of the build: this host has no compiler, or Debian's mirror cannot be reached. A module that does not compile fails.
  beforeEach((context) => {
    if (folder === undefined) context.skip(`no kernel of ${suite}, or no compiler`);
  });
  afterAll(async () => {
    await vm?.close();
    if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
  });

  const booted = () => {
    if (!vm || dir === undefined) throw new Error('the guest has not booted');
    return { vm, dir };
  };

  it('names the two threads of a deadlock, and the mutexes', () => {
    expect(explanation.kernel).toMatch(release);
    expect(explanation.cycles).toEqual([
      [expect.objectContaining({ comm: 'abba-1' }), expect.objectContaining({ comm: 'abba-2' })],
    ]);
    expect(task(explanation, 'abba-1')).toMatchObject({
      state: 'blocked',
      function: 'abba_first',
      waitsFor: {
        kind: 'mutex',
        name: 'held_b [held_locks]',
        recorded: 'owner',
        owners: [{ task: { comm: 'abba-2' }, state: 'blocked' }],
      },
    });
    expect(explanation.sentences[0]).toMatch(/^Deadlock: abba-1 \(\d+\) and abba-2 \(\d+\) wait for each other\.$/);
  });

  it('names the reader that keeps a writer out, and the writer that keeps a reader out', () => {
    expect(task(explanation, 'reader-2').waitsFor).toMatchObject({
      kind: 'rw-semaphore',
      name: 'held_by_reader [held_locks]',
      access: 'write',
      readers: 1,
      recorded: 'hint',
      owners: [{ task: { comm: 'reader-1' }, state: 'sleeping', function: 'hold_for_ever' }],
    });
    expect(task(explanation, 'writer-2').waitsFor).toMatchObject({
      kind: 'rw-semaphore',
      name: 'held_by_writer [held_locks]',
      access: 'read',
      recorded: 'owner',
      owners: [{ task: { comm: 'writer-1' } }],
    });
  });

  it('names the owner of an rt-mutex', () => {
    expect(task(explanation, 'rt-2').waitsFor).toMatchObject({
      kind: 'rt-mutex',
      name: 'held_rt [held_locks]',
      recorded: 'owner',
      owners: [{ task: { comm: 'rt-1' } }],
    });
  });

  it('says what is awaited where the kernel records no owner', () => {
    const recorded = 'none';
    const owners: unknown[] = [];
    expect(task(explanation, 'percpu-2').waitsFor).toMatchObject({
      kind: 'percpu-rw-semaphore',
      access: 'read',
      name: 'held_percpu [held_locks]',
      recorded,
      owners,
    });
    expect(task(explanation, 'semaphore-2').waitsFor).toMatchObject({
      kind: 'semaphore',
      name: 'held_semaphore [held_locks]',
      recorded,
      owners,
    });
    expect(task(explanation, 'completion-1').waitsFor).toMatchObject({
      kind: 'completion',
      name: 'never_complete [held_locks]',
    });
    expect(task(explanation, 'queue-1').waitsFor).toMatchObject({
      kind: 'wait-queue',
      name: 'never_woken [held_locks]',
    });
    expect(task(explanation, 'bit-1').waitsFor).toMatchObject({ kind: 'bit', name: 'never_clear [held_locks]' });
    expect(task(explanation, 'page-2').waitsFor).toMatchObject({ kind: 'page', recorded, owners });
    expect(explanation.sentences.join('\n')).toMatch(/^semaphore-2 .* a semaphore does not record who holds it\.$/m);
  });

  it.runIf(spin)('finds the CPU that spins, and the spinlock', () => {
    expect(task(explanation, 'spin-2')).toMatchObject({
      state: 'spinning',
      cpu: expect.any(Number),
      waitsFor: { kind: 'spinlock', name: 'held_spin [held_locks]', recorded: 'none' },
    });
  });

  it('names no task that waits for none of the locks', () => {
    const accused = explanation.stuck
      .flatMap(({ waitsFor }) => waitsFor?.owners ?? [])
      .map((owner) => owner.task?.comm);
    expect(new Set(accused)).toEqual(new Set(['abba-1', 'abba-2', 'reader-1', 'writer-1', 'rt-1']));
    expect(explanation.notes).toEqual([]);
  });

  it('reads every frame by the unwind tables', () => {
    for (const { stack } of explanation.stuck) {
      expect(stack.filter(({ uncertain }) => uncertain)).toEqual([]);
      expect(stack.at(-1)?.function).toMatch(/^ret_from_fork|^secondary_startup|^common_startup/);
    }
  });

  it('reads the same from a dump of the memory', async () => {
    const { vm, dir } = booted();
    const path = join(dir, 'memory.elf');
    await vm.dump(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(vm.state).toBe('running');
    const dumped = explainDump(path, { minWait: 0 });
    expect(dumped.cycles).toEqual(explanation.cycles);
    expect(task({ ...dumped, pausedMs: 0 }, 'rt-2').waitsFor).toEqual(task(explanation, 'rt-2').waitsFor);
    await expect(vm.dump(path)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    rmSync(path);
  });

  it('refuses a dump in another form, and leaves nothing of one that was cancelled', async () => {
    const { vm, dir } = booted();
    const path = join(dir, 'memory.kdump');
    await vm.dump(path, { format: 'kdump-zlib' });
    expect(() => explainDump(path)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    const controller = new AbortController();
    const cancelled = vm.dump(join(dir, 'cancelled.elf'), {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(cancelled).rejects.toMatchObject({ code: 'ABORTED' });
    expect(readdirSync(dir).filter((name) => name.startsWith('cancelled'))).toEqual([]);
    expect((await vm.explain({ minWait: 0 })).cycles).toEqual(explanation.cycles);
  });

  it("reads a copy that QEMU writes where the host does not permit to read QEMU's process", async () => {
    const { vm } = booted();
    await vm.pause();
    const { qmp, pid } = vm;
    const machine = { qmp, process: { pid }, spec: { memoryMiB: 256 } };
    // No process has this number: pid_max is 2^22 at most.
    expect(await openProcessMemory({ ...machine, process: { pid: 2 ** 22 + 1 } }, {})).toBeUndefined();
    const [direct, copy] = await Promise.all([openProcessMemory(machine, {}), copyMemory(machine, {})]);
    const ranges = [0, 1, 2, 3].map((part) => [0x10_0000 + part * (40 << 20), 32 << 20] as const);
    for (const [from, length] of ranges)
      expect(copy.read(from, length)?.equals(direct?.read(from, length) ?? Buffer.of())).toBe(true);
    expect(copy.read(255 << 20, 2 << 20)).toBeUndefined();
    await Promise.all([direct?.close(), copy.close()]);
    await vm.resume();
  });

  it('answers after the kernel has panicked', async () => {
    const { vm } = booted();
    await vm.qmp.execute('inject-nmi');
    await vm.waitForText('Kernel panic');
    const dead = await vm.explain({ minWait: 0 });
    expect(dead.cycles).toEqual(explanation.cycles);
  });
});
