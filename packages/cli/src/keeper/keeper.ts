import { writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { boot, isQmpilotError, QmpilotError, type Vm } from '@qmpilot/core';
import { describeGuest, type BootRequest } from './boot-request.js';
import { HostedVm } from './hosted-vm.js';
import { claim, directoryOf, markEnded, type VmRecord } from './state.js';
import { toWireError } from './wire.js';

/** Descriptor on which the command that booted the vm hears how the boot goes, as JSON lines. */
const PROGRESS_FD = 3;

/**
 * The process that keeps a named vm after the command that booted it has ended: it holds QEMU's only QMP and console connections
 * and serves any number of clients. It ends with the last vm it keeps; QEMU ends with it.
 */
export async function keep(request: BootRequest, record: VmRecord): Promise<void> {
  const directory = directoryOf(record.name);
  const hosts = new Set<HostedVm>();
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      stop.abort(new QmpilotError('ABORTED', `the keeper got ${signal}`));
      for (const host of hosts) void host.end(`its keeper got ${signal}`);
    });
  }
  const host = async (vm: Vm, its: VmRecord, folder: string): Promise<HostedVm> => {
    const hosted = new HostedVm(vm, its, folder, (ended) => {
      hosts.delete(ended);
      if (hosts.size === 0) process.exit(0);
    });
    hosts.add(hosted);
    await hosted.open(fork);
    return hosted;
  };
  const fork = async (from: HostedVm, snapshot: string, name: string): Promise<HostedVm> => {
    const its: VmRecord = { v: 1, name, guest: from.record.guest, createdAt: new Date().toISOString() };
    const folder = await claim(its);
    try {
      return await host(await from.vm.fork(snapshot), its, folder);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  };
  let vm: Vm | undefined;
  try {
    vm = await boot(describeGuest(request), {
      ...request.boot,
      signal: stop.signal,
      onProgress: (message) => tell({ progress: message }),
    });
    const hosted = await host(vm, record, directory);
    tell({ ready: await hosted.status() });
  } catch (error) {
    await vm?.close().catch(() => {});
    await markEnded(
      directory,
      record,
      isQmpilotError(error, 'ABORTED')
        ? 'its boot was interrupted'
        : `it did not boot: ${error instanceof Error ? error.message : String(error)}`,
    );
    tell({ error: toWireError(error) });
    process.exit(1);
  }
}

function tell(message: object): void {
  try {
    writeSync(PROGRESS_FD, `${JSON.stringify(message)}\n`);
  } catch {
    // Whoever listened has heard enough.
  }
}
