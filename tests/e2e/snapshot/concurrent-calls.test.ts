import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { boot, debian, isQmpilotError, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { otherQemu, qemus } from '../../support/own-qemus.js';

const GUEST = debian({ defect: 'io-uring-unlocked-flush' });

describe('calls that come while another is under way', () => {
  let vm: Vm;
  const state = async () => (await vm.exec('cat /run/state')).stdout.trim();
  const folders = () => readdirSync(dirname(hostFolder())).length;
  /** The VM's own folder on the host: that of its first QEMU is in it. */
  const hostFolder = () =>
    /file=([^,]+)\/m\d+\/|file\.filename=([^,]+)\/m\d+\//
      .exec(vm.facts.commandLine.join(' '))
      ?.slice(1)
      .find(Boolean) ?? '';
  beforeAll(async () => {
    vm = await boot(GUEST);
    for (const name of ['one', 'two']) {
      await vm.expectOk(`echo ${name} > /run/state`);
      await vm.snapshot(name);
    }
  });
  afterAll(() => vm.close());

  it('a command, the serial console and a watch continue through a snapshot', async () => {
    const count = (word: string) => `for i in $(seq 20); do echo "${word} $i"; sleep 0.05; done`;
    const lines = Array.from({ length: 20 }, (_, index) => index + 1);
    await using watch = vm.watch({ dState: { interval: '100ms' } });
    await vm.console.type(`${count('serial')}; echo all of the serial $((40 + 2))\n`);
    const command = vm.exec(count('line'));
    await vm.snapshot('three');
    expect((await command).stdout.trim().split('\n')).toEqual(lines.map((line) => `line ${line}`));
    const { before } = await vm.console.expect('all of the serial 42', { timeout: '30s' });
    expect([...before.matchAll(/^serial (\d+)$/gm)].map((match) => Number(match[1]))).toEqual(lines);
    expect(watch.samplingError).toBeUndefined();
    await vm.removeSnapshot('three');
  });

  it('restores and snapshots are done one after the other; a command that waits for them runs in the guest of the last restore', async () => {
    const [, , seen, , snapshot, again] = await Promise.all([
      vm.restore('one'),
      vm.restore('two'),
      state(),
      vm.restore('one'),
      vm.snapshot('third'),
      vm.snapshot('third').catch((error: unknown) => error),
    ]);
    expect(seen).toBe('one');
    expect(await state()).toBe('one');
    expect(again).toMatchObject({ code: 'ALREADY_EXISTS', message: expect.stringContaining('third already') });
    await vm.restore('two');
    expect(await state()).toBe('two');
    await vm.restore(snapshot.name);
    expect(await state()).toBe('one');
    await vm.removeSnapshot('third');
    await Promise.all([vm.snapshot('paused'), vm.pause()]);
    expect(await vm.qmp.execute('query-status')).toMatchObject({ running: false });
    await Promise.all([vm.restore('paused'), vm.pause(), vm.resume()]);
    expect(await vm.qmp.execute('query-status')).toMatchObject({ running: true });
    await vm.removeSnapshot('paused');
    await expect.poll(qemus, { timeout: 10_000 }).toEqual([vm.pid]);
  });

  it('an aborted snapshot or restore leaves the guest as it was, running, and nothing of itself', async () => {
    await vm.restore('two');
    await vm.expectOk('echo mine > /run/state');
    const before = folders();
    for (const after of [0, 5, 30, 60]) {
      for (const work of [
        (signal: AbortSignal) => vm.snapshot('given-up', { signal }),
        (signal: AbortSignal) => vm.restore('one', { signal }),
      ]) {
        const over = new AbortController();
        const working = work(over.signal).then(
          () => 'done',
          (error: unknown) => error,
        );
        await new Promise((resolve) => setTimeout(resolve, after));
        over.abort();
        const outcome = await working;
        if (outcome !== 'done') expect(outcome).toMatchObject({ code: 'ABORTED' });
        // One that was too quick for us.
        if (vm.snapshots.some(({ name }) => name === 'given-up')) await vm.removeSnapshot('given-up');
        expect(await state()).toMatch(/^(?:mine|one)$/);
        await vm.expectOk('echo mine > /run/state');
      }
    }
    await expect.poll(qemus, { timeout: 10_000 }).toEqual([vm.pid]);
    expect(folders() - before).toBeLessThanOrEqual(1);
  });

  it('a restore whose new QEMU is killed while it loads fails, and the guest of before continues', async () => {
    for (const wait of [0, 15, 40]) {
      await vm.expectOk(`echo ${wait} > /run/state`);
      const { pid } = vm;
      // The one before may still be ending.
      await expect.poll(qemus, { timeout: 10_000 }).toEqual([pid]);
      const restoring = vm.restore('one').then(
        () => 'restored',
        (error: unknown) => error,
      );
      const other = await otherQemu(pid, restoring);
      await new Promise((resolve) => setTimeout(resolve, wait));
      // Where the restore was over too quickly to be seen, the VM has another QEMU now.
      process.kill(other ?? vm.pid, 'SIGKILL');
      const outcome = await restoring;
      const loaded = outcome === 'restored' || isQmpilotError(outcome, 'QEMU_EXITED');
      if (outcome !== 'restored')
        expect(outcome).toMatchObject({
          code: loaded ? 'QEMU_EXITED' : 'SNAPSHOT',
          message: expect.stringMatching(/was killed by SIGKILL while (?:loading a saved state|its guest was resumed)/),
        });
      // From then on it is the new one that was killed.
      if (loaded) {
        await expect.poll(() => vm.failure?.code, { timeout: 10_000 }).toBe('QEMU_EXITED');
        await expect(vm.exec('true')).rejects.toMatchObject({ code: 'QEMU_EXITED' });
      }
      if (loaded) await vm.restore('one');
      expect(await state()).toBe(loaded ? 'one' : String(wait));
    }
  });

  it('a VM that is closed while it restores, saves or forks says so, and leaves no QEMU', async () => {
    for (const work of [(one: Vm) => one.restore('one'), (one: Vm) => one.snapshot('late')]) {
      for (const after of [0, 20, 50]) {
        const fork = await vm.fork('one');
        const working = work(fork).then(
          () => 'done',
          (error: unknown) => error,
        );
        await new Promise((resolve) => setTimeout(resolve, after));
        await fork.close();
        const outcome = await working;
        if (outcome !== 'done') expect(outcome).toMatchObject({ code: 'CLOSED' });
        expect(qemus()).toEqual([vm.pid]);
      }
    }
    await vm.removeSnapshot('late').catch(() => {});
  });

  it('a poweroff is followed through a snapshot that is made meanwhile, and ended by a restore', async () => {
    await vm.restore('one');
    await vm.expectOk(
      'systemd-run -q --unit=stubborn -p TimeoutStopSec=8 bash -c \'trap "" TERM; while :; do sleep 1; done\'; sleep 1',
    );
    const off = vm.poweroff({ timeout: '1m' });
    await vm.console.expect(/stubborn\.service/, { timeout: '30s' });
    await vm.snapshot('stalled');
    expect(await off).toMatchObject({ outcome: 'clean', shutdownEvent: true });
    await vm.restore('stalled');
    const again = expect(vm.poweroff({ timeout: '1m', via: 'none' })).rejects.toMatchObject({
      code: 'ABORTED',
      message: expect.stringMatching(/was restored before it had powered off/),
    });
    await vm.restore('one');
    await again;
    expect(await state()).toBe('one');
  });

  it('forks that are being made, and a pool, outlive their vm with the snapshot', async () => {
    const forking = vm.fork('two');
    await using pool = vm.pool('two', { size: 1 });
    await vm.close();
    const fork = await forking;
    expect((await fork.exec('cat /run/state')).stdout).toBe('two\n');
    await fork.close();
    await using taken = await pool.take({ timeout: '30s' });
    expect((await taken.exec('cat /run/state')).stdout).toBe('two\n');
  });
});
