import type { Vm } from '@qmpilot/core';
import type { Call } from '../server.js';

/** Has QEMU serve gdb until the client leaves. */
export async function serveGdb(vm: Vm, { signal, send }: Call<'gdb'>): Promise<null> {
  const kernel = await vm.kernel({ signal });
  await using server = await vm.gdbServer({ signal });
  await send({ socket: server.socket, kernel });
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
  return null;
}
