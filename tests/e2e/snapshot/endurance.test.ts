import { createHash } from 'node:crypto';
import { createReadStream, readdirSync } from 'node:fs';
import { boot, debian, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { otherQemu, qemus } from '../../support/own-qemus.js';

const GUEST = debian({ defect: 'io-uring-unlocked-flush' });
const RESTORES = 200;

const descriptors = () => readdirSync('/proc/self/fd').length;

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

describe('one snapshot under load', () => {
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

  it('is the only one after QEMU was killed during another save, and the VM can be restored from it', async () => {
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
