import { boot, debian, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, expect, it } from 'vitest';

let vm: Vm;

beforeAll(async () => {
  vm = await boot(debian(), { cache: true });
});

afterAll(() => vm?.close());

it('a pattern of the caller is found on the console, and in a fork on its own', async () => {
  const spec = { console: [{ kind: 'data-loss', pattern: /data loss of (\d+)/, severity: 'error' }] } as const;
  await using watch = vm.watch(spec);
  await vm.expectOk('echo "app: data loss of 12 blocks" > /dev/console');
  expect(await watch.first({ kind: 'data-loss', timeout: '60s' })).toMatchObject({
    severity: 'error',
    title: 'data loss of 12',
    signature: 'data-loss',
  });
  await vm.snapshot('patterns');
  await using fork = await vm.fork('patterns');
  await using other = fork.watch(spec);
  await fork.expectOk('echo "data loss of 3" > /dev/console');
  expect(await other.first({ timeout: '60s' })).toMatchObject({ title: 'data loss of 3' });
});

it('a check is a finding when its command begins to fail, and another one after it has succeeded', async () => {
  await using watch = vm.watch({
    checks: [{ kind: 'corrupt', command: 'test ! -e /run/corrupt || { cat /run/corrupt; exit 3; }', every: 200 }],
  });
  await vm.expectOk('echo "block 7" > /run/corrupt');
  expect(await watch.first({ timeout: '60s' })).toMatchObject({
    kind: 'corrupt',
    severity: 'error',
    title: expect.stringMatching(/^check failed with exit code 3: test ! -e/),
    evidence: [expect.stringContaining('$ test'), 'block 7', 'exit code 3'],
  });
  await vm.expectOk('rm /run/corrupt; sleep 3; echo again > /run/corrupt');
  await expect.poll(() => watch.findings.length, { timeout: 60_000 }).toBe(2);
});

it.each([
  [{ kernelLog: ['hung-tusk'] }, /watch: spec\.kernelLog.*hung-task/],
  [{ checks: [{ kind: 'x', command: '' }] }, /watch: spec\.checks\[0\]\.command/],
  [{ console: [{ kind: 'x', pattern: 'text', severity: 'error' }] }, /watch: spec\.console\[0\]\.pattern/],
  [{ dstate: true }, /watch: spec\.dstate/],
])('an invalid watch is refused by name: %j', (spec, message) => {
  expect(() => vm.watch(spec as object)).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) }),
  );
});
