import { open } from 'node:fs/promises';
import { QmpilotError } from '../../errors.js';
import { QmpClient } from '../../qmp/client.js';
import { poll, type WaitOptions } from '../../util/async/deadline.js';
import { withinLimit } from '../../util/async/limit.js';
import { hostError } from '../../util/files/host-error.js';
import { buildArguments } from '../command-line/arguments.js';
import type { MachineSpec, StartSpec } from '../command-line/machine-spec.js';
import { readBackArguments } from '../command-line/read-back.js';
import { atLeast, type QemuBinary } from '../host/binary.js';
import { fillRam } from '../saved-state/fill-ram.js';
import type { SavedState } from '../saved-state/saved-state.js';
import { channelFds, countChannels, fdAfterChannels, nameChannels, type MachineChannels } from './channels.js';
import { exitError, QemuProcess, type QemuHandle } from './process.js';
import { onStopped } from './stopped.js';

export interface StartOptions extends WaitOptions {
  readonly name: string;
  readonly binary: QemuBinary;
  /** Private folder of the VM on the host. */
  readonly directory: string;
  /** A saved state to load instead of booting. */
  readonly incoming?: SavedState | undefined;
}

/** One running QEMU: its process, QMP session and channels to the guest. Paused until QMP's `cont`. */
export interface Machine extends MachineChannels {
  /** Replaced when a snapshot gives the running machine other overlays. */
  spec: MachineSpec;
  readonly directory: string;
  readonly process: QemuHandle;
  readonly qmp: QmpClient;
  /** The state that it was loaded from; undefined when its guest booted here. */
  readonly origin?: SavedState | undefined;
}

/** Loading takes tens of milliseconds; on a loaded host with a large state, seconds. */
const LOAD_TIMEOUT_MS = 120_000;

/** A QEMU that waits for a state to load. */
export interface IncomingMachine {
  readonly machine: Machine;
  /**
   * Loads the state, which has to be whole by now; the machine is paused afterwards. When that fails QEMU is ended.
   * @throws {SNAPSHOT} {TIMEOUT} {ABORTED}
   */
  readonly load: (options: WaitOptions) => Promise<void>;
}

/**
 * Starts QEMU and waits until it can be talked to, and has loaded its state where one is given.
 * @throws {QEMU_START} when it cannot be started, or ends at once: QEMU's own message is in the error
 * @throws {SNAPSHOT} when the state cannot be read or loaded
 * @throws {TIMEOUT} {ABORTED}
 */
export async function startMachine(spec: MachineSpec, options: StartOptions): Promise<Machine> {
  if (!options.incoming) return start(spec, options, undefined);
  const { machine, load } = await startIncoming(spec, { ...options, incoming: options.incoming });
  await load(options);
  return machine;
}

/** The same, without loading yet: the file must be there, its contents need not. */
export async function startIncoming(
  spec: MachineSpec,
  options: StartOptions & { readonly incoming: SavedState },
): Promise<IncomingMachine> {
  const { incoming, binary } = options;
  const file = await openState(incoming.path);
  try {
    // `file:` came with QEMU 8.2; before it an inherited descriptor is the only way in that the sandbox leaves.
    const byName = atLeast(binary.version, 8, 2);
    const uri = byName ? `file:${incoming.path}` : `fd:${fdAfterChannels(spec)}`;
    const machine = await start(spec, options, byName ? undefined : file.fd);
    const load = (wait: WaitOptions) =>
      unlessStopped(machine.process, loadState(machine, incoming, uri, wait)).catch(async (error: unknown) => {
        throw await startError(machine.process, true, error);
      });
    return { machine, load };
  } finally {
    await file.close();
  }
}

async function start(spec: MachineSpec, options: StartOptions, stateFd: number | undefined): Promise<Machine> {
  const process = await QemuProcess.spawn({
    path: options.binary.path,
    directory: options.directory,
    channels: countChannels(spec),
    ...(stateFd !== undefined && { files: [stateFd] }),
    cwd: spec.readBack?.cwd,
    args: argumentsOf(spec, {
      name: options.name,
      version: options.binary.version,
      fds: channelFds(spec),
      incoming: options.incoming !== undefined,
    }),
  });
  const channels = nameChannels(process.channels, spec);
  if (!channels) throw new QmpilotError('QEMU_START', 'QEMU was started without its channels');
  const end = new AbortController();
  let isUp = false;
  const filling = fill(process, { spec, options, isUp: () => isUp }, end.signal);
  // Its failure is told where it is awaited.
  filling.catch(() => {});
  try {
    const qmp = await unlessStopped(
      process,
      QmpClient.fromStream(channels.qmp, { signal: options.signal, timeout: options.timeout }),
    );
    isUp = true;
    await filling;
    return {
      ...channels,
      spec,
      directory: options.directory,
      process,
      qmp,
      origin: options.incoming,
    };
  } catch (error) {
    end.abort();
    throw await startError(process, options.incoming !== undefined, error);
  }
}

/** Writes the pages of the state to load into the RAM of a QEMU that starts. */
async function fill(
  { pid }: QemuProcess,
  { spec, options, isUp }: { readonly spec: MachineSpec; readonly options: StartOptions; readonly isUp: () => boolean },
  end: AbortSignal,
): Promise<void> {
  const { pages } = options.incoming ?? {};
  const { path: ramFile } = spec.ram;
  if (!pages || ramFile === undefined) return;
  const qemu = { pid, ramFile, ramBytes: spec.memoryMiB * 2 ** 20, isUp };
  const { signal, timeout } = options;
  const limits = { awaited: 'the saved pages of RAM to be loaded', signal, timeout, patience: LOAD_TIMEOUT_MS };
  await withinLimit(limits, (limit) => fillRam(pages, qemu, AbortSignal.any([end, ...(limit ? [limit] : [])])));
}

function argumentsOf(spec: MachineSpec, start: StartSpec): string[] {
  return spec.readBack ? readBackArguments(spec, spec.readBack, start) : buildArguments(spec, start);
}

async function openState(path: string) {
  try {
    return await open(path, 'r');
  } catch (cause) {
    throw hostError('cannot read the saved state', cause, { hint: 'was the snapshot removed?' });
  }
}

async function loadState(
  { qmp }: Machine,
  state: SavedState,
  uri: string,
  { signal, timeout }: WaitOptions,
): Promise<void> {
  const capabilities = [
    { capability: 'x-ignore-shared' as const, state: state.ramInFile },
    ...(state.mappedRam ? [{ capability: 'mapped-ram' as const, state: true }] : []),
  ];
  // Sent together: QEMU works them off in order, and each round trip would cost.
  await Promise.all([
    qmp.execute('migrate-set-capabilities', { capabilities }, { signal }),
    qmp.execute('migrate-incoming', { uri }, { signal }),
  ]);
  await poll(
    { awaited: 'QEMU to load the saved state', defaultTimeout: LOAD_TIMEOUT_MS },
    { signal, timeout, interval: 2 },
    async (probeSignal) => {
      const { status } = await qmp.execute('query-status', undefined, { signal: probeSignal });
      return status === 'inmigrate' ? undefined : status;
    },
  );
}

/** A QEMU that is stopped by a signal is not waited for. */
async function unlessStopped<T>({ pid }: QemuHandle, answer: Promise<T>): Promise<T> {
  let forget = () => {};
  const stopped = new Promise<never>((_, reject) => (forget = onStopped(pid, reject)));
  try {
    return await Promise.race([answer, stopped]);
  } finally {
    forget();
  }
}

/** QEMU's own message says more than a link that ended: wait for it, then leave nothing running. */
async function startError(process: QemuHandle, loading: boolean, error: unknown): Promise<unknown> {
  const doing = loading ? 'loading a saved state' : 'starting';
  const ended = error instanceof QmpilotError && (error.code === 'QMP_LINK' || error.code === 'TIMEOUT');
  if (ended) await process.waitForExit({ patience: 1000 }).catch(() => {});
  const { exit } = process;
  await process.kill();
  if (!ended || !exit) return error;
  const { message, evidence, hint } = exitError(doing, exit, process.stderr(), process.pid, process.args);
  return new QmpilotError(loading ? 'SNAPSHOT' : 'QEMU_START', message, {
    cause: error,
    evidence: { ...evidence, commandLine: process.args },
    ...(hint && { hint }),
  });
}
