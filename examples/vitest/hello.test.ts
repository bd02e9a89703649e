import { expect } from 'vitest';
import { test } from './vm-test.js';

const GET = `exec 3<> /dev/tcp/127.0.0.1/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;

test('says hello', async ({ vm }) => {
  expect((await vm.expectOk(GET)).stdout).toMatch(/\r\n\r\nhello\n$/);
});

test('is started again when it is killed', async ({ vm }) => {
  await vm.expectOk('systemctl kill -s KILL hello');
  await vm.until(async () => (await vm.exec(GET)).stdout.endsWith('hello\n'), { awaited: 'another hello' });
  await expect(vm).toHaveNoKernelFindings();
});

test('shows its state to who logs in', async ({ vm }) => {
  await vm.console.type('systemctl is-active hello\n');
  await expect(vm).toShow(/^active$/m);
});

test('lets the machine power off', async ({ vm }) => {
  await expect(vm).toPowerOffCleanly({ slowAfter: '20s' });
});
