import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { boot, debian, isQmpilotError, openSnapshot, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const CORE = fileURLToPath(new URL('../../../packages/core/dist/index.js', import.meta.url));
const GUEST = debian({ defect: 'io-uring-unlocked-flush' });
const RESTORES = 200;

/** Processes that this one started, by their command line. */
function children(): { readonly pid: number; readonly command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) !== process.pid) return [];
        return [{ pid: Number(pid), command: readFileSync(`/proc/${pid}/cmdline`, 'utf8') }];
      } catch {
        return [];
      }
    });
}

const qemus = () =>
  children()
    .filter(({ command }) => command.includes('-blockdev'))
    .map(({ pid }) => pid);
/** Waits for a QEMU beside `first`; returns undefined when `work`, which starts it, was over too quickly to be seen. */
async function otherQemu(first: number, work: Promise<unknown>): Promise<number | undefined> {
  let isOver = false;
  void work.then(() => (isOver = true));
  for (;;) {
    const other = qemus().find((pid) => pid !== first);
    if (other !== undefined || isOver) return other;
    await new Promise(setImmediate);
  }
}
const descriptors = () => readdirSync('/proc/self/fd').length;

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

describe('one snapshot, used hard', () => {
  let vm: Vm;
  let nonce: string;
  beforeAll(async () => {
    vm = await boot(GUEST);
    nonce = (await vm.exec('od -An -N8 -tx8 /dev/urandom | tee /run/nonce')).stdout;
    await vm.expectOk('echo marker > /root/marker');
    await vm.snapshot('base');
  });
  afterAll(() => vm.close());

  it(`is whole after ${RESTORES} restores, each of which gave the guest of that moment; nothing grows`, async () => {
    const ram = vm.facts.commandLine.join(' ').match(/mem-path=([^,]+)/)?.[1] ?? '';
    const before = await sha256(ram);
    let held = 0;
    for (let round = 1; round <= RESTORES; round += 1) {
      await vm.exec(`echo ${round} > /run/nonce; echo ${round} > /root/marker`);
      await vm.restore('base');
      const { stdout, exitCode } = await vm.exec('cat /run/nonce /root/marker');
      expect({ stdout, exitCode }).toEqual({ stdout: `${nonce}marker\n`, exitCode: 0 });
      if (round === 20) held = descriptors();
    }
    expect(descriptors() - held).toBeLessThan(10);
    await expect.poll(qemus, { timeout: 10_000 }).toEqual([vm.pid]);
    expect(await sha256(ram)).toBe(before);
  });

  it('is not joined by one whose QEMU was killed in the middle of the save; the VM is there again after a restore', async () => {
    for (const [index, delay] of [0, 20, 60, 150].entries()) {
      const name = `killed-${index}`;
      const saving = vm.snapshot(name).then(
        () => 'saved',
        () => 'failed',
      );
      await new Promise((resolve) => setTimeout(resolve, delay));
      for (const pid of qemus()) process.kill(pid, 'SIGKILL');
      const outcome = await saving;
      expect(vm.snapshots.some((one) => one.name === name)).toBe(outcome === 'saved');
      await vm.restore('base');
      expect((await vm.exec('cat /run/nonce')).stdout).toBe(nonce);
    }
    await expect.poll(qemus, { timeout: 10_000 }).toEqual([vm.pid]);
  });

  it('fails to fork when the fork is killed while it loads, leaves nothing of it, and forks again', async () => {
    for (const wait of [0, 15, 40]) {
      await expect.poll(qemus, { timeout: 10_000 }).toEqual([vm.pid]);
      let forking: Promise<void>;
      do {
        forking = vm.fork('base').then(
          (fork) => fork.close(),
          () => {},
        );
      } while ((await otherQemu(vm.pid, forking)) === undefined);
      await new Promise((resolve) => setTimeout(resolve, wait));
      for (const pid of qemus().filter((one) => one !== vm.pid)) process.kill(pid, 'SIGKILL');
      await forking;
    }
    expect((await vm.exec('cat /run/nonce')).stdout).toBe(nonce);
    const fork = await vm.fork('base');
    expect((await fork.exec('cat /run/nonce')).stdout).toBe(nonce);
    await fork.close();
    await expect.poll(qemus, { timeout: 10_000 }).toEqual([vm.pid]);
  });
});

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

  it('a command, the serial console and a watch continue through a snapshot as if there was none', async () => {
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

  it('restores and snapshots are done one after the other; a command runs in the guest of the restore before it', async () => {
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
      // Also where the restore is over: the VM has another QEMU then.
      await otherQemu(pid, restoring);
      await new Promise((resolve) => setTimeout(resolve, wait));
      for (const other of qemus().filter((one) => one !== pid)) process.kill(other, 'SIGKILL');
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

describe('a controller that is killed while it keeps a snapshot', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kept-kill-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('leaves none that is not whole, and what it had begun goes with the next keep', async () => {
    const whole = join(folder, 'whole');
    const script = `import { boot, debian, openSnapshot } from ${JSON.stringify(CORE)};
      const vm = await boot(debian({ defect: 'io-uring-unlocked-flush' }));
      const snapshot = await vm.snapshot('a');
      await snapshot.save(${JSON.stringify(whole)});
      console.log('kept');
      for (let i = 0; ; i += 1) await snapshot.save(${JSON.stringify(folder)} + '/again-' + i);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const gone = new Promise((resolve) => child.once('exit', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await expect
      .poll(() => readdirSync(folder).some((name) => name.startsWith('.again-')), { interval: 1, timeout: 60_000 })
      .toBe(true);
    child.kill('SIGKILL');
    await gone;
    const names = await readdir(folder);
    for (const name of names.filter((one) => !one.startsWith('.')))
      await (await openSnapshot(join(folder, name))).close();
    await using snapshot = await openSnapshot(whole);
    await snapshot.save(join(folder, 'next'));
    expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});
