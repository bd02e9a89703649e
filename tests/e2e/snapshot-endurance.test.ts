import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { boot, debian, openSnapshot, type Vm } from '@qmpilot/core';

const CORE = fileURLToPath(new URL('../../packages/core/dist/index.js', import.meta.url));
const GUEST = debian({ defect: 'io-uring-lock-leak' });
const RESTORES = 200;

/** Processes that this one started, by their command line. */
function children(): { readonly pid: number; readonly command: string }[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) !== process.pid) return [];
      return [{ pid: Number(pid), command: readFileSync(`/proc/${pid}/cmdline`, 'utf8') }];
    } catch {
      return [];
    }
  });
}

const qemus = () => children().filter(({ command }) => command.includes('-blockdev')).map(({ pid }) => pid);
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

  it('is not joined by one whose QEMU was killed in the middle of the save; the vm is there again after a restore', async () => {
    for (const [index, delay] of [0, 20, 60, 150].entries()) {
      const name = `killed-${index}`;
      const saving = vm.snapshot(name).then(() => 'saved', () => 'failed');
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
      const forking = vm.fork('base').then((forks) => forks, () => []);
      await expect.poll(() => qemus().length, { interval: 1, timeout: 10_000 }).toBe(2);
      await new Promise((resolve) => setTimeout(resolve, wait));
      for (const pid of qemus().filter((one) => one !== vm.pid)) process.kill(pid, 'SIGKILL');
      await Promise.all((await forking).map((fork) => fork.close()));
    }
    expect((await vm.exec('cat /run/nonce')).stdout).toBe(nonce);
    const [fork] = await vm.fork('base');
    expect((await fork?.exec('cat /run/nonce'))?.stdout).toBe(nonce);
    await fork?.close();
    await expect.poll(qemus, { timeout: 10_000 }).toEqual([vm.pid]);
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
      const vm = await boot(debian({ defect: 'io-uring-lock-leak' }));
      const snapshot = await vm.snapshot('a');
      await snapshot.keep(${JSON.stringify(whole)});
      console.log('kept');
      for (let i = 0; ; i += 1) await snapshot.keep(${JSON.stringify(folder)} + '/again-' + i);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const gone = new Promise((resolve) => child.once('exit', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await expect.poll(() => readdirSync(folder).some((name) => name.startsWith('.again-')), { interval: 1, timeout: 60_000 }).toBe(true);
    child.kill('SIGKILL');
    await gone;
    const names = await readdir(folder);
    for (const name of names.filter((one) => !one.startsWith('.'))) await (await openSnapshot(join(folder, name))).close();
    await using snapshot = await openSnapshot(whole);
    await snapshot.keep(join(folder, 'next'));
    expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});
