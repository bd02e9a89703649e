import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, debian, openSnapshot, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, expect, it } from 'vitest';

let folder: string;
let vm: Vm;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'running-command-'));
  vm = await boot(debian(), { cache: true });
});
afterAll(async () => {
  await vm.close();
  await rm(folder, { recursive: true, force: true });
});

/** Lets the command go on that waits in this guest, and returns what it then leaves. */
async function letGo(fork: Vm): Promise<string> {
  await fork.expectOk('test ! -e /run/result; echo go > /run/gate', { timeout: '30s' });
  await fork.waitForFile('/run/result', { timeout: '30s' });
  return (await fork.exec('cat /run/result', { timeout: '30s' })).stdout;
}

it('a command that runs when a snapshot is taken goes on in its forks, whose commands use another console', async () => {
  await vm.snapshot('base');
  const running = vm.exec(
    'mkfifo /run/gate; touch /run/waits; read -r word < /run/gate; echo "$word $$" | tee /run/result',
  );
  await vm.waitForFile('/run/waits', { timeout: '30s' });
  const during = await vm.snapshot('during');
  await during.save(join(folder, 'during'));
  await using fork = await vm.fork('during');
  const seen = await letGo(fork);
  expect(seen).toMatch(/^go \d+\n$/);

  await using opened = await openSnapshot(join(folder, 'during'));
  await using later = await opened.fork();
  expect(await letGo(later)).toBe(seen);

  // The command of the original knows nothing of this.
  await vm.expectOk('test ! -e /run/result; echo go > /run/gate');
  expect((await running).stdout).toBe(seen);
});

it('commands of a fork use another kind of shell when commands ran on all consoles, and shells that ran nothing are no obstacle', async () => {
  const idle = await Promise.all([vm.openShell(), vm.openShell()]);
  await vm.snapshot('idle');
  await using free = await vm.fork('idle');
  const opened = await Promise.all([free.openShell({ via: 'console' }), free.openShell({ via: 'console' })]);
  for (const shell of opened) expect((await shell.exec('echo here')).stdout).toBe('here\n');

  const names = ['one', 'two', 'three'];
  const command = (name: string) => `mkfifo /run/${name}; touch /run/waits-${name}; read -r _ < /run/${name}`;
  const running = [vm, ...idle].map((shell, at) => shell.exec(command(names[at] ?? '')));
  for (const name of names) await vm.waitForFile(`/run/waits-${name}`, { timeout: '30s' });
  await vm.snapshot('busy');
  await using fork = await vm.fork('busy');
  await expect(fork.exec('true', { via: 'console' })).rejects.toMatchObject({
    code: 'SHELL_LOST',
    message: expect.stringContaining('a command that ran when the snapshot was taken has the console'),
  });
  await expect(fork.bestShell({ via: 'console' })).rejects.toMatchObject({ code: 'SHELL_LOST' });
  expect(await fork.exec('echo here')).toMatchObject({ via: 'guest-agent', stdout: 'here\n' });
  // In the guest that it is restored to, no command runs on a console.
  await fork.restore('idle');
  expect(await fork.exec('echo here')).toMatchObject({ via: 'console', stdout: 'here\n' });
  const shells = await Promise.all([fork.openShell({ via: 'console' }), fork.openShell({ via: 'console' })]);
  for (const shell of shells) expect((await shell.exec('echo here')).stdout).toBe('here\n');

  await vm.exec(`for name in ${names.join(' ')}; do echo > /run/$name; done`, { via: 'guest-agent' });
  await Promise.all(running);
  for (const shell of idle) shell.close();
});

it('snapshots of forks that are saved together share one file of RAM', async () => {
  const shared = new Map<string, string>();
  await vm.exec('echo one > /run/number; echo one > /root/number');
  const one = await vm.snapshot('one');
  await vm.exec('echo two > /run/number; echo two > /root/number');
  const two = await vm.snapshot('two');
  expect(await two.bytes()).toBeGreaterThan(100_000);
  expect(await two.bytes()).toBeLessThan(200 * 2 ** 20);
  await one.saveSharing(join(folder, 'one'), shared, undefined);
  await two.saveSharing(join(folder, 'two'), shared, undefined);
  const [ramOne, ramTwo] = await Promise.all(['one', 'two'].map((name) => stat(join(folder, name, 'ram'))));
  expect(ramTwo?.ino).toBe(ramOne?.ino);
  expect((await readdir(join(folder, 'two'))).toSorted()).toContain('manifest.json');
  for (const name of ['two', 'one']) {
    await using opened = await openSnapshot(join(folder, name));
    await using fork = await opened.fork();
    expect((await fork.exec('cat /run/number /root/number')).stdout).toBe(`${name}\n${name}\n`);
    // A fork of it can be saved with its changed pages again.
    const again = await fork.snapshot('again');
    expect(again.reason).not.toContain('all of the RAM');
    await using next = await fork.fork('again');
    expect((await next.exec('cat /run/number')).stdout).toBe(`${name}\n`);
  }
  const removeDisks = [await one.drop(), await two.drop()];
  expect(vm.snapshots.map(({ name }) => name)).not.toContain('two');
  await vm.expectOk('cat /root/number');
  for (const remove of removeDisks) expect(remove).toBeTypeOf('function');
});
