import { writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { boot, isQmpilotError, openSnapshot, QmpilotError, type BootOptions, type Vm } from '@qmpilot/core';
import { describeGuest, type BootRequest } from './boot-request.js';
import { ConsoleLog } from './console-log.js';
import { ConsoleProgress } from './console-progress.js';
import { vmHandlers } from './handlers/vm-handlers.js';
import { HostedVm } from './hosted-vm.js';
import { claim, directoryOf, markEnded, noteDaemon, type VmRecord } from './state.js';
import { toWireError } from './wire.js';

/** Descriptor on which the daemon reports to `qmpilot boot`, as JSON lines. */
const PROGRESS_FD = 3;

/**
 * Runs the background process of a named VM. It holds QEMU's only QMP and console connections and serves any number of clients.
 * It ends with the last of its VMs, and QEMU ends with it.
 */
export async function runDaemon(request: BootRequest, record: VmRecord): Promise<void> {
  const directory = directoryOf(record.name);
  const hosts = new Set<HostedVm>();
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      stop.abort(new QmpilotError('ABORTED', `the daemon received ${signal}`));
      for (const host of hosts) void host.end(`its daemon received ${signal}`);
    });
  }
  const host = async (vm: Vm, its: VmRecord, folder: string, log = openLog(folder)): Promise<HostedVm> => {
    const hosted = new HostedVm(vm, its, folder, log, (ended) => {
      hosts.delete(ended);
      if (hosts.size === 0) process.exit(0);
    });
    hosts.add(hosted);
    await hosted.open(vmHandlers(hosted, fork));
    return hosted;
  };
  const fork = async (from: HostedVm, snapshot: string, name: string): Promise<HostedVm> => {
    const loaded = 'a snapshot';
    const its: VmRecord = { v: 1, name, guest: from.record.guest, createdAt: new Date().toISOString(), loaded };
    const folder = await claim(its);
    try {
      await noteDaemon(folder);
      return await host(await from.vm.fork(snapshot), its, folder);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  };
  const log = openLog(directory);
  let progress: ConsoleProgress | undefined;
  let vm: Vm | undefined;
  try {
    await noteDaemon(directory);
    vm = await start(request, {
      ...request.boot,
      signal: stop.signal,
      onProgress: (message) => tell({ progress: message }),
      onStart: (starting) => {
        starting.console.setTranscript(log);
        progress = new ConsoleProgress(starting.console, (consoleLine) => tell({ consoleLine }));
      },
    });
    const hosted = await host(vm, record, directory, log);
    progress?.close();
    tell({ ready: await hosted.status() });
  } catch (error) {
    progress?.close();
    await vm?.close().catch(() => {});
    log.close();
    await markEnded(
      directory,
      record,
      isQmpilotError(error, 'ABORTED')
        ? 'boot interrupted'
        : `boot failed: ${error instanceof Error ? error.message : String(error)}`,
    );
    tell({ error: toWireError(error) });
    process.exit(1);
  }
}

async function start({ guest }: BootRequest, options: BootOptions): Promise<Vm> {
  if (guest.kind !== 'saved') return boot(describeGuest(guest), options);
  options.onProgress?.(`loading the saved snapshot ${guest.directory}`);
  await using snapshot = await openSnapshot(guest.directory);
  const vm = await snapshot.fork({ signal: options.signal });
  options.onStart?.(vm);
  return vm;
}

function openLog(directory: string): ConsoleLog {
  return new ConsoleLog(join(directory, 'console.log'));
}

function tell(message: object): void {
  try {
    writeSync(PROGRESS_FD, `${JSON.stringify(message)}\n`);
  } catch {
    // The command that booted the VM has left.
  }
}
