import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { boot, direct, openSnapshot, type GuestDescription, type Vm } from '@qmpilot/core';
import type { SnapshotStrategy } from '@qmpilot/core/vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mountSmall, unmount } from '../../support/host-tools.js';
import { leftovers, leftoversSince } from '../../support/leftovers.js';
import { otherQemu } from '../../support/other-qemu.js';
import { makeTinyGuest } from '../../support/tiny-guest.js';

const CORE = fileURLToPath(new URL('../../../packages/core/dist/index.js', import.meta.url));

let folder: string;
let guest: GuestDescription;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'snapshot-contract-'));
  guest = direct({
    name: 'tiny',
    ...(await makeTinyGuest(folder)),
    append: 'console=ttyS0 quiet',
    cpus: 1,
    memoryMiB: 128,
    login: { prompt: /tiny# $/ },
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What is in a variable of the guest's shell: nothing but RAM has it. */
async function value(vm: Vm): Promise<string | undefined> {
  await vm.console.type('echo "<$mark>"\n');
  return (await vm.console.expect(/<(\d*)>/, { timeout: '30s' })).groups[0];
}

async function set(vm: Vm, mark: string): Promise<void> {
  await vm.console.type(`mark=${mark}; echo "set to $mark."\n`);
  await vm.console.expect(`set to ${mark}.`, { timeout: '30s' });
}

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

describe.each([
  ["the host's QEMU", () => undefined],
  ["Debian's newer QEMU", () => otherQemu().system],
])('snapshots on %s', (_name, qemuOf) => {
  const qemu = qemuOf();

  it.each<SnapshotStrategy>(['template', 'file'])(
    '%s: forks and restores are the guest of that moment, and write nothing to it',
    async (strategy) => {
      await using vm = await boot(guest, { qemu });
      await set(vm, '41');
      const snapshot = await vm.snapshot('one', { strategy });
      const kept = join(folder, `${strategy}-${qemu === undefined ? 'host' : 'other'}`);
      await snapshot.save(kept);
      const files = strategy === 'template' ? ['ram', 'state'] : ['state'];
      const before = await Promise.all(files.map((name) => sha256(join(kept, name))));
      await set(vm, '42');
      const forks = await vm.fork('one', { count: 2 });
      for (const fork of forks) {
        expect(await value(fork)).toBe('41');
        await set(fork, '43');
      }
      expect(await value(vm)).toBe('42');
      await snapshot.restore();
      expect(await value(vm)).toBe('41');
      await Promise.all(forks.map((fork) => fork.close()));

      await using opened = await openSnapshot(kept, { qemu });
      const again = await opened.fork();
      expect(await value(again)).toBe('41');
      await again.close();
      await expect(opened.restore()).rejects.toMatchObject({ code: 'USAGE', hint: expect.stringContaining('fork') });
      expect(await Promise.all(files.map((name) => sha256(join(kept, name))))).toEqual(before);
    },
  );

  it('says that there is no room for the state; the guest continues, and is saved once there is', async ({ skip }) => {
    const small = join(folder, 'small');
    const before = process.env['TMPDIR'];
    const why = mountSmall(small, 16);
    if (why !== undefined) skip(why);
    try {
      process.env['TMPDIR'] = small;
      await using vm = await boot(guest, { qemu });
      await set(vm, '41');
      await expect(vm.snapshot('one', { strategy: 'file' })).rejects.toMatchObject({
        code: 'NO_SPACE',
        hint: expect.stringContaining('TMPDIR'),
      });
      expect(await value(vm)).toBe('41');
      execFileSync('mount', ['-o', 'remount,size=512m', small]);
      await vm.snapshot('one', { strategy: 'file' });
      await set(vm, '42');
      await vm.restore('one');
      expect(await value(vm)).toBe('41');
      await vm.close();
      expect(readdirSync(small)).toEqual([]);
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
      unmount(small);
    }
  });
});

describe('a controller that is killed', () => {
  it.each(['snapshot', 'restore', 'fork'])('in the middle of a %s leaves no QEMU and no file', async (work) => {
    const before = leftovers();
    const { kernel, initrd } = await makeTinyGuest(folder);
    const script = `import { boot, direct } from ${JSON.stringify(CORE)};
      const vm = await boot(direct({ name: 'tiny', kernel: ${JSON.stringify(kernel)}, initrd: ${JSON.stringify(initrd)}, append: 'console=ttyS0 quiet', cpus: 1, memoryMiB: 128, login: { prompt: /tiny# $/ } }));
      await vm.snapshot('s');
      const work = {
        snapshot: async () => vm.snapshot('t').then(() => vm.removeSnapshot('t')),
        restore: async () => vm.restore('s'),
        fork: async () => Promise.all((await vm.fork('s', { count: 2 })).map((fork) => fork.close())),
      }[${JSON.stringify(work)}];
      for (;;) {
        console.log('begin');
        await work();
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const gone = once(child, 'exit');
    let begun = 0;
    // The third time: a moment later it is in the middle of it.
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (text: Buffer) => (begun += text.toString().split('begin').length - 1) >= 3 && resolve());
      void gone.then(() => reject(new Error('the controller ended by itself')));
    });
    await new Promise((resolve) => setTimeout(resolve, 15));
    child.kill('SIGKILL');
    await gone;
    await expect.poll(() => leftoversSince(before), { timeout: 10_000 }).toEqual([]);
  });
});

it('what one QEMU has saved another refuses, both named', async () => {
  const { version } = JSON.parse(await readFile(join(folder, 'template-host', 'manifest.json'), 'utf8')).qemu.match(
    /^(?<version>[\d.]+)/,
  ).groups;
  await expect(openSnapshot(join(folder, 'template-host'), { qemu: otherQemu().system })).rejects.toMatchObject({
    code: 'SNAPSHOT',
    message: expect.stringMatching(
      new RegExp(`saved by QEMU ${version.replaceAll('.', '\\.')} .*machine pc-q35-.*this is QEMU 1\\d\\.`),
    ),
  });
});
