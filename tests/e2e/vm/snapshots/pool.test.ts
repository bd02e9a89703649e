import { readdirSync, readFileSync } from 'node:fs';
import { boot, debian, type Snapshot, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** QEMUs that this process started. */
function children(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
        return parent === process.pid && stat.includes('(qemu-system') ? [Number(pid)] : [];
      } catch {
        return [];
      }
    });
}

describe('a pool of warm forks', () => {
  let vm: Vm;
  let snapshot: Snapshot;
  beforeAll(async () => {
    vm = await boot(debian({ defect: 'io-uring-unlocked-flush' }), { cache: true });
    await vm.expectOk('echo ram > /run/nonce; echo disk > /root/nonce');
    snapshot = await vm.snapshot('warm');
  });
  afterAll(() => vm.close());

  it('gives running, independent guests, and refills itself', async () => {
    await using pool = snapshot.pool({ size: 2 });
    const taken: Vm[] = [];
    for (let round = 0; round < 5; round += 1) {
      const fork = await pool.take({ timeout: '30s' });
      taken.push(fork);
      expect((await fork.exec('cat /run/nonce /root/nonce; echo mine > /run/nonce')).stdout).toBe('ram\ndisk\n');
      if (round > 1) await taken.shift()?.close();
    }
    await expect.poll(() => pool.ready, { timeout: 30_000 }).toBe(2);
    await pool.close();
    expect((await taken[0]?.exec('cat /run/nonce'))?.stdout).toBe('mine\n');
    await Promise.all(taken.map((fork) => fork.close()));
    expect(children()).toEqual([vm.pid]);
  });

  it('replaces a fork that died while it waited: the caller of take does not notice', async () => {
    await using pool = vm.pool('warm', { size: 1 });
    await expect.poll(() => pool.ready, { timeout: 30_000 }).toBe(1);
    const waiting = children().filter((pid) => pid !== vm.pid);
    expect(waiting).toHaveLength(1);
    for (const pid of waiting) process.kill(pid, 'SIGKILL');
    await using fork = await pool.take({ timeout: '30s' });
    expect(waiting).not.toContain(fork.pid);
    expect((await fork.exec('cat /run/nonce')).stdout).toBe('ram\n');
  });

  it('is closed by its signal, refuses to give any more, and leaves no QEMU', async () => {
    const controller = new AbortController();
    const pool = vm.pool('warm', { size: 3, signal: controller.signal });
    const late = Promise.all([1, 2, 3, 4].map(() => pool.take()));
    controller.abort();
    await expect(late).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(pool.take()).rejects.toMatchObject({ code: 'CLOSED' });
    await pool.close();
    await expect.poll(children, { timeout: 10_000 }).toEqual([vm.pid]);
  });

  it('lets one who waits give up, by signal or by time', async () => {
    await using pool = vm.pool('warm', { size: 1 });
    await expect(pool.take({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(pool.take({ timeout: 1 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    await using fork = await pool.take({ timeout: '30s' });
    expect((await fork.exec('true')).exitCode).toBe(0);
  });

  it('says that there is no such snapshot, and that a size is none', () => {
    expect(() => vm.pool('none')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
    expect(() => vm.pool('warm', { size: 0 })).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
