import { boot, debian, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, expect, it } from 'vitest';

/** A getty that asks for a name and a password: the image logs root in without. */
const ASKS = `
  systemctl unmask serial-getty@hvc0
  mkdir -p /run/systemd/system/serial-getty@hvc0.service.d
  printf '[Service]\\nExecStart=\\nExecStart=-/sbin/agetty --keep-baud 115200 %%I vt220\\n' >/run/systemd/system/serial-getty@hvc0.service.d/z-asks.conf
  systemctl daemon-reload`;

let vm: Vm;
beforeAll(async () => {
  vm = await boot(debian(), { cache: true });
  await vm.expectOk(ASKS, { via: 'guest-agent' });
});
afterAll(() => vm?.close());

const taken = {
  code: 'SHELL_LOST',
  hint: expect.stringContaining('mask serial-getty@hvc0.service'),
  evidence: { console: expect.arrayContaining([expect.stringContaining('qmpilot login: ')]) },
};

it('says that a getty took the console of a running command, of a stream, and of the shell that waits, with the remedy', async () => {
  const { shell } = vm;
  const start = () =>
    vm.expectOk('systemctl stop qmpilot-shell@hvc0; systemctl restart serial-getty@hvc0', { via: 'guest-agent' });
  const back = () =>
    vm.expectOk('systemctl stop serial-getty@hvc0; systemctl start qmpilot-shell@hvc0', { via: 'guest-agent' });

  const running = shell.exec('sleep 1000').catch((error: unknown) => error);
  await start();
  expect(await running).toMatchObject({
    ...taken,
    message: 'a login took the terminal of shell on hvc0 while it ran "sleep 1000"',
  });

  // The getty has it: a command without a limit of its own ends, and the VM runs commands elsewhere.
  await expect(shell.exec('true')).rejects.toMatchObject({
    ...taken,
    message: 'shell on hvc0: a login prompt answers in place of a root shell',
  });
  expect((await vm.exec('echo elsewhere')).stdout).toBe('elsewhere\n');

  await back();
  expect((await shell.exec('echo back')).stdout).toBe('back\n');
  const stream = shell.stream('echo begun; sleep 1000');
  const ended = stream.result.catch((error: unknown) => error);
  await stream[Symbol.asyncIterator]().next();
  await start();
  expect(await ended).toMatchObject({
    ...taken,
    message: 'a login took the terminal of shell on hvc0 while it ran "echo begun; sleep 1000"',
  });

  // It comes while the shell waits, whose last command went well.
  await back();
  expect((await shell.exec('echo back')).stdout).toBe('back\n');
  await start();
  await expect(shell.exec('true')).rejects.toMatchObject(taken);
});
