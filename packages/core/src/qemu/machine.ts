import { open } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { QmpilotError } from '../errors.js';
import { QmpClient } from '../qmp/client.js';
import { poll, type WaitOptions } from '../util/deadline.js';
import type { QemuBinary } from './binary.js';
import { buildArguments, type MachineSpec, type StartSpec } from './command-line.js';
import { exitError, QemuProcess, type QemuHandle } from './process.js';
import { readBackArguments } from './read-back.js';

export interface SavedState {
  readonly path: string;
  /** It holds devices only: RAM is in the machine's RAM file (capability `x-ignore-shared`). */
  readonly ramInFile: boolean;
}

export interface StartOptions extends WaitOptions {
  readonly name: string;
  readonly binary: QemuBinary;
  /** Private folder of the vm on the host. */
  readonly directory: string;
  /** A saved state to load instead of booting. */
  readonly incoming?: SavedState | undefined;
}

/** One running QEMU: its process, QMP session and console streams. Paused until QMP's `cont`. */
export interface Machine {
  readonly spec: MachineSpec;
  readonly directory: string;
  readonly process: QemuHandle;
  readonly qmp: QmpClient;
  /** The guest's ttyS0. */
  readonly serial: Duplex;
  /** hvc0, hvc1, ... as named in `spec.virtioConsoles`. */
  readonly virtio: readonly Duplex[];
  /** The port of the guest agent, where `spec.guestAgent` asks for one. */
  readonly agent: Duplex | undefined;
}

const FIRST_FD = 3;
/** Loading takes tens of milliseconds; on a loaded host with a large state, seconds. */
const LOAD_TIMEOUT_MS = 120_000;

/**
 * Starts QEMU and waits until it can be talked to, and has loaded its state where one is given.
 * @throws {QEMU_START} when it cannot be started, or ends at once: QEMU's own message is in the error
 * @throws {SNAPSHOT} when the state cannot be read or loaded
 * @throws {TIMEOUT} {ABORTED}
 */
export async function startMachine(spec: MachineSpec, options: StartOptions): Promise<Machine> {
  const consoles = spec.virtioConsoles.length;
  const channels = 2 + consoles + (spec.guestAgent ? 1 : 0);
  const state = options.incoming && (await openState(options.incoming.path));
  let process: QemuProcess;
  try {
    process = await QemuProcess.spawn({
      path: options.binary.path,
      directory: options.directory,
      channels,
      ...(state && { files: [state.fd] }),
      cwd: spec.readBack?.cwd,
      args: argumentsOf(spec, {
        name: options.name,
        version: options.binary.version,
        fds: { qmp: FIRST_FD, serial: FIRST_FD + 1, virtio: spec.virtioConsoles.map((_, index) => FIRST_FD + 2 + index), agent: FIRST_FD + 2 + consoles },
        incoming: options.incoming !== undefined,
      }),
    });
  } finally {
    await state?.close();
  }
  const [qmpStream, serial, ...ports] = process.channels;
  const [virtio, agent] = [ports.slice(0, consoles), ports[consoles]];
  if (!qmpStream || !serial) throw new QmpilotError('QEMU_START', 'QEMU was started without its channels');
  try {
    const qmp = await QmpClient.fromStream(qmpStream, { signal: options.signal, timeout: options.timeout });
    const machine = { spec, directory: options.directory, process, qmp, serial, virtio, agent };
    if (options.incoming) await load(machine, options.incoming, FIRST_FD + channels, options);
    return machine;
  } catch (error) {
    throw await startError(process, options, error);
  }
}

function argumentsOf(spec: MachineSpec, start: StartSpec): string[] {
  return spec.readBack ? readBackArguments(spec, spec.readBack, start) : buildArguments(spec, start);
}

async function openState(path: string) {
  try {
    return await open(path, 'r');
  } catch (cause) {
    throw new QmpilotError('SNAPSHOT', `the saved state ${path} cannot be read`, { cause, hint: 'was the snapshot removed?' });
  }
}

async function load(machine: Machine, state: SavedState, fd: number, options: WaitOptions): Promise<void> {
  const capabilities = [{ capability: 'x-ignore-shared' as const, state: state.ramInFile }];
  // Sent together: QEMU works them off in order, and each round trip would cost.
  await Promise.all([
    machine.qmp.execute('migrate-set-capabilities', { capabilities }, { signal: options.signal }),
    machine.qmp.execute('migrate-incoming', { uri: `fd:${fd}` }, { signal: options.signal }),
  ]);
  await poll(
    { awaited: 'QEMU to load the saved state', defaultTimeout: LOAD_TIMEOUT_MS },
    { signal: options.signal, timeout: options.timeout, interval: 2 },
    async (signal) => {
      const { status } = await machine.qmp.execute('query-status', undefined, { signal });
      return status === 'inmigrate' ? undefined : status;
    },
  );
}

/** QEMU's own message says more than a link that ended: wait for it, then leave nothing running. */
async function startError(process: QemuProcess, options: StartOptions, error: unknown): Promise<unknown> {
  const doing = options.incoming ? 'loading a saved state' : 'starting';
  const ended = error instanceof QmpilotError && (error.code === 'QMP_LINK' || error.code === 'TIMEOUT');
  if (ended) await process.waitForExit({ timeout: 1000 }).catch(() => {});
  const { exit } = process;
  await process.kill();
  if (!ended || !exit) return error;
  const { message, evidence, hint } = exitError(doing, exit, process.stderr(), process.pid);
  return new QmpilotError(options.incoming ? 'SNAPSHOT' : 'QEMU_START', message, {
    cause: error,
    evidence: { ...evidence, commandLine: process.args },
    ...(hint && { hint }),
  });
}
