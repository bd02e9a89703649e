import { boot, debian, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, expect, it } from 'vitest';

let vm: Vm;
beforeAll(async () => {
  vm = await boot(debian());
});
afterAll(() => vm?.close());

it('runs twenty commands of 0.5 s at once well below their sum', async () => {
  await Promise.all([1, 2, 3].map(() => vm.exec('sleep 1')));
  const begun = performance.now();
  const results = await Promise.all(Array.from({ length: 20 }, () => vm.exec('sleep 0.5', { timeout: '1m' })));
  expect(performance.now() - begun).toBeLessThan(9000);
  expect(results.every(({ exitCode, via }) => exitCode === 0 && via === 'console')).toBe(true);
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
