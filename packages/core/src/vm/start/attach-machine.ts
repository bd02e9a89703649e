import { Duplex } from 'node:stream';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { PreparedGuest } from '../../guests/guest.js';
import { checkFreeSocket, listChardevs, whereTheyLead, type Chardevs } from '../../qemu/command-line/chardevs.js';
import { inspectMachine, readBackFrom, specOf } from '../../qemu/command-line/inspect.js';
import type { Obstacle } from '../../qemu/command-line/machine-spec.js';
import { parseArguments } from '../../qemu/command-line/options.js';
import { acquireHostDirectories, makeVmDirectory, releaseHostDirectories } from '../../qemu/host/directories.js';
import { AttachedQemu, listenerOf, ownerOfThread } from '../../qemu/process/attached-qemu.js';
import type { Machine } from '../../qemu/process/machine.js';
import { isStopped } from '../../qemu/process/stopped.js';
import type { QmpClient } from '../../qmp/client.js';
import { connect, dial } from '../../qmp/connect.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { createFamily } from '../create-family.js';
import type { Vm } from '../vm.js';

export interface AttachOptions extends WaitOptions {
  /** Path of the unix socket of a QMP monitor: `-qmp unix:PATH,server=on,wait=off`. It takes one client at a time. */
  readonly qmp: string;
  /** Path of the unix socket of the guest's serial console: `-serial unix:PATH,server=on,wait=off`. */
  readonly console?: string | undefined;
  /** The same of a virtio console on which the guest runs a bash of root: for `vm.exec`. */
  readonly shell?: string | undefined;
  /** A second one, for detectors. */
  readonly samplingShell?: string | undefined;
  /** Default `attached`. */
  readonly name?: string | undefined;
}

const ATTACHED: Obstacle = {
  reason: 'this VM was attached: its QEMU belongs to the program that started it',
  remedy: 'start it by boot()',
};

/** Connects to QEMU and its consoles, and makes a VM of them. */
export async function attachMachine(options: AttachOptions): Promise<Vm> {
  const { signal, timeout } = options;
  const streams: Duplex[] = [];
  const open = async (name: 'console' | 'shell' | 'samplingShell', path: string, monitor: QmpClient) => {
    await checkFreeSocket(name, path, monitor, { signal, timeout });
    const stream = await dial({ path }, { signal, timeout });
    streams.push(stream);
    return stream;
  };
  let qmp: QmpClient | undefined;
  try {
    qmp = await connect({ path: options.qmp }, { signal, timeout }).catch((error: unknown) =>
      explain(options.qmp, error),
    );
    const serial =
      options.console === undefined
        ? noConsole(await listChardevs(qmp, { signal, timeout }))
        : await open('console', options.console, qmp);
    const virtio: Duplex[] = [];
    for (const name of ['shell', 'samplingShell'] as const) {
      const path = options[name];
      if (path !== undefined) virtio.push(await open(name, path, qmp));
    }
    return await vmOn(qmp, { serial, virtio, streams }, options);
  } catch (error) {
    for (const stream of streams) stream.destroy();
    await qmp?.close();
    throw error;
  }
}

async function vmOn(
  qmp: QmpClient,
  channels: { readonly serial: Duplex; readonly virtio: readonly Duplex[]; readonly streams: readonly Duplex[] },
  options: AttachOptions,
): Promise<Vm> {
  const [inspection, cpus] = await Promise.all([
    inspectMachine(qmp, options),
    qmp.execute('query-cpus-fast', undefined, options),
  ]);
  const listener = (await listenerOf(options.qmp)) ?? (await ownerOfThread(cpus[0]?.['thread-id']));
  const { version } = qmp.greeting;
  const text = [version.major, version.minor, version.micro].join('.');
  const consoles = ['shell', 'samplingShell'].filter(
    (name) => (name === 'shell' ? options.shell : options.samplingShell) !== undefined,
  );
  const guest: PreparedGuest = {
    name: options.name ?? 'attached',
    key: '',
    disks: [],
    cpus: inspection.cpus,
    memoryMiB: inspection.memoryMiB,
    network: 'user',
    virtioConsoles: consoles,
    ...(options.shell !== undefined && { shell: 'shell' }),
    ...(options.samplingShell !== undefined && { samplingShell: 'samplingShell' }),
  };
  const started = {
    theirs: parseArguments(listener?.args.slice(1) ?? []),
    cwd: '/',
    overrides: [],
    console: 'serial' as const,
  };
  const { readBack, disks } = readBackFrom(started, inspection, () => false);
  const process = new AttachedQemu(qmp, channels.streams, listener?.pid ?? 0, listener?.args ?? []);
  const directories = await acquireHostDirectories();
  const directory = await makeVmDirectory(directories);
  const machine: Machine = {
    spec: specOf(inspection, disks, { ...readBack, obstacles: [ATTACHED] }, { virtioConsoles: consoles }),
    directory,
    process,
    qmp,
    serial: channels.serial,
    virtio: channels.virtio,
    agent: undefined,
    copy: undefined,
  };
  const family = createFamily({
    guest,
    context: { binary: { path: listener?.args[0] ?? 'qemu', version: { ...version, text } }, directories },
    accelerator: { accelerator: inspection.accelerator, reason: 'its QEMU runs under it' },
  });
  try {
    return family.makeVm(machine, directory);
  } catch (error) {
    await releaseHostDirectories();
    throw error;
  }
}

/** A monitor that another client holds lets us connect, and says nothing. */
async function explain(path: string, error: unknown): Promise<never> {
  if (isQmpilotError(error, 'TIMEOUT')) {
    const listener = await listenerOf(path);
    const stopped = listener !== undefined && (await isStopped(listener.pid));
    throw new QmpilotError(
      'TIMEOUT',
      stopped ? `QEMU (pid ${listener.pid}) is stopped by a signal: ${error.message}` : error.message,
      {
        cause: error,
        hint: stopped
          ? `let it go on: kill -CONT ${listener.pid}`
          : 'another client may hold this monitor, as libvirt does: give QEMU a second one (-qmp unix:PATH,server=on,wait=off)',
      },
    );
  }
  throw error;
}

function noConsole(chardevs: Chardevs): Duplex {
  return new Duplex({
    read() {},
    write(_chunk, _encoding, callback) {
      callback(
        new QmpilotError('USAGE', 'this VM was attached without a console', {
          hint: `name its socket: attach({ qmp, console }); ${whereTheyLead(chardevs)}`,
        }),
      );
    },
  });
}
