import { boot, debian, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, expect, it } from 'vitest';

let vm: Vm;
beforeAll(async () => {
  vm = await boot(debian(), { cache: true });
});
afterAll(() => vm?.close());

it('runs commands on the free consoles at once: the guest sees three of twenty at a time', async () => {
  const command = 'read begun _ < /proc/uptime; sleep 0.5; read ended _ < /proc/uptime; echo $begun $ended';
  const results = await Promise.all(Array.from({ length: 20 }, () => vm.exec(command, { timeout: '5m' })));
  expect(results.every(({ exitCode, via }) => exitCode === 0 && via === 'console')).toBe(true);
  const spans = results.map(({ stdout }) => stdout.trim().split(' ').map(Number));
  const atOnce = spans.map(([begun = 0]) => spans.filter(([from = 0, to = 0]) => from <= begun && begun < to).length);
  expect(Math.max(...atOnce)).toBe(3);
});

it('goes past a command that hangs, and holds a timeout within a second', async () => {
  const stop = new AbortController();
  const hung = vm.exec('sleep 1000', { signal: stop.signal }).catch((error: unknown) => error);
  expect((await vm.exec('echo on', { timeout: '30s' })).stdout).toBe('on\n');
  await vm.pause();
  const begun = performance.now();
  await expect(vm.exec('true', { timeout: '2s' })).rejects.toMatchObject({ code: 'TIMEOUT' });
  expect(performance.now() - begun).toBeLessThan(3000);
  await vm.resume();
  stop.abort();
  await hung;
});

it('says SHELL_LOST when a command or a stream kills its own shell while another command runs, and runs the next one', async () => {
  const stop = new AbortController();
  const hung = vm.exec('sleep 1000', { signal: stop.signal }).catch((error: unknown) => error);
  const lost = {
    code: 'SHELL_LOST',
    message: expect.stringMatching(/^shell on hvc[2-9] ended while it ran /),
    hint: expect.stringContaining('a command that kills its own shell'),
  };
  await expect(vm.exec('kill -9 $$')).rejects.toMatchObject(lost);
  expect((await vm.exec('echo on')).stdout).toBe('on\n');
  const stream = await vm.stream('echo begun; kill -9 $$');
  await expect(stream.result).rejects.toMatchObject(lost);
  expect((await vm.exec('echo on')).stdout).toBe('on\n');
  stop.abort();
  await hung;
});

it('runs twenty commands at once by the guest agent, and twenty with one signal, without a warning of Node.js', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => void warnings.push(warning);
  process.on('warning', onWarning);
  try {
    const { signal } = new AbortController();
    const twenty = <T>(task: () => Promise<T>) => Promise.all(Array.from({ length: 20 }, task));
    const results = [
      ...(await twenty(() => vm.exec('true', { via: 'guest-agent' }))),
      ...(await twenty(() => vm.exec('true', { signal }))),
    ];
    expect(results.map(({ exitCode }) => exitCode)).toEqual(Array.from({ length: 40 }, () => 0));
    // Warnings are emitted in a later turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings).toEqual([]);
  } finally {
    process.off('warning', onWarning);
  }
});
