import { boot, debian, type Finding, type Vm } from '@qmpilot/core';
import { scan } from '@qmpilot/core/detect';
import { connect, type QmpReturn } from '@qmpilot/core/qmp';
import { openSsh } from '@qmpilot/core/ssh';
import { createVmTest } from '@qmpilot/core/vitest';

export async function kernelOf(vm: Vm): Promise<string> {
  const ssh = await openSsh(vm);
  const { exitCode, stdout } = await ssh.exec('uname -r');
  return exitCode === 0 ? stdout.trim() : '';
}

export const vmTest = createVmTest;

export async function use(): Promise<readonly Finding[]> {
  await using vm = await boot(debian(), { timeout: '2m' });
  await kernelOf(vm);
  const qmp = await connect({ path: 'qmp.sock' });
  const status: QmpReturn<'query-status'> = await qmp.execute('query-status');
  // @ts-expect-error: commands are known by name.
  await qmp.execute('query-statu');
  return status.running ? scan(new Uint8Array()) : [];
}
