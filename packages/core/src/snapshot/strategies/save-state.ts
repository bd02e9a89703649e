import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { QmpilotError, isQmpilotError } from '../../errors.js';
import { atLeast, type QemuVersion } from '../../qemu/host/binary.js';
import type { Machine } from '../../qemu/process/machine.js';
import type { SavedState } from '../../qemu/saved-state/saved-state.js';
import { MAX_SOCKET_PATH } from '../../qmp/connect.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import { isNoSpace } from '../../util/files/host-error.js';
import { blockedError } from '../blockers.js';

export interface SaveOptions extends WaitOptions {
  readonly version: QemuVersion;
  /** File for the state; it exists and is empty. */
  readonly state: SavedState;
}

/** A save that waits for the machine to be stopped. */
export interface PreparedSave {
  /**
   * Writes the state of the stopped machine.
   * @throws {SNAPSHOT} when QEMU refuses or fails: the machine is as it was
   * @throws {NO_SPACE} {TIMEOUT} {ABORTED} {QMP_LINK}
   */
  readonly run: (options: WaitOptions) => Promise<void>;
  /** Releases what was prepared; may be called twice. */
  readonly close: () => void;
}

/** A full save writes all RAM in use: at most some GiB. */
const SAVE_TIMEOUT_MS = 300_000;
/** As fast as it goes: QEMU's default would hold a local file to 128 MiB/s. */
const BANDWIDTH = 1 << 30;

/** Does all that can be done while the guest still runs. */
export async function prepareSave(machine: Machine, options: SaveOptions): Promise<PreparedSave> {
  const { state, version } = options;
  await setUp(machine, state, version);
  // `file:` came with QEMU 8.2; before it a socket is the only way out that the sandbox leaves.
  const way = atLeast(version, 8, 2)
    ? { run: (wait: WaitOptions) => migrate(machine, `file:${state.path}`, wait), close: () => {} }
    : await socketWay(machine, state.path, options);
  return {
    async run(wait) {
      try {
        await way.run(wait);
      } catch (error) {
        if (isQmpilotError(error, 'TIMEOUT') || isQmpilotError(error, 'ABORTED')) {
          await machine.qmp.execute('migrate_cancel', undefined, { patience: 5000 }).catch(() => {});
        }
        throw await explain(machine, error);
      }
    },
    close: way.close,
  };
}

async function setUp({ qmp }: Machine, state: SavedState, version: QemuVersion): Promise<void> {
  await qmp.execute('migrate-set-capabilities', {
    capabilities: [
      { capability: 'x-ignore-shared', state: state.ramInFile },
      { capability: 'events', state: true },
      ...(atLeast(version, 9) ? [{ capability: 'mapped-ram' as const, state: state.mappedRam === true }] : []),
    ],
  });
  await qmp.execute('migrate-set-parameters', { 'max-bandwidth': BANDWIDTH });
}

async function migrate({ qmp, process: qemu }: Machine, uri: string, options: WaitOptions): Promise<void> {
  const ended = qmp.waitFor('MIGRATION', {
    signal: options.signal,
    timeout: options.timeout ?? SAVE_TIMEOUT_MS,
    filter: ({ data }) => ['completed', 'failed', 'cancelled'].includes(data.status),
  });
  ended.catch(() => {});
  await qmp.execute('migrate', { uri }, { signal: options.signal });
  const { data } = await ended;
  if (data.status === 'completed') return;
  const info = await qmp.execute('query-migrate');
  if (/No space left|quota exceeded/i.test(info['error-desc'] ?? '')) throw noRoom(info['error-desc']);
  throw new QmpilotError('SNAPSHOT', `QEMU could not save its state: ${info['error-desc'] ?? data.status}`, {
    evidence: { stderr: qemu.stderr() },
    hint: 'the VM continues; is there room for the state?',
  });
}

async function socketWay(machine: Machine, file: string, options: WaitOptions): Promise<PreparedSave> {
  const path = join(machine.directory, 'state.sock');
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new QmpilotError('SNAPSHOT', `the path of the state's socket is too long: ${path}`, {
      hint: 'set TMPDIR to a shorter path',
    });
  }
  await rm(path, { force: true });
  const server = createServer();
  await awaitWithin<void>({ awaited: `a socket at ${path}` }, options, (resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve());
  });
  server.on('error', () => {});
  const close = () => void server.close();
  const run = async (wait: WaitOptions) => {
    const written = new Promise<void>((resolve, reject) => {
      server.once('connection', (socket) => {
        // Also when the file fails first: then the pipeline has released the socket.
        socket.on('error', () => {});
        pipeline(socket, createWriteStream(file, { mode: 0o600, highWaterMark: 1 << 20 })).then(resolve, reject);
      });
    });
    // A write error (disk full) ends the migration on QEMU's side too, but says more.
    await Promise.all([written, Promise.race([migrate(machine, `unix:${path}`, wait), rejection(written)])]);
  };
  return { run, close };
}

/** Never resolves: only the failure matters to a race. */
function rejection(promise: Promise<unknown>): Promise<never> {
  return new Promise((_resolve, reject) => void promise.catch(reject));
}

async function explain({ qmp }: Machine, error: unknown): Promise<unknown> {
  if (isNoSpace(error)) return noRoom(error);
  if (!isQmpilotError(error, 'QMP_COMMAND') && !isQmpilotError(error, 'SNAPSHOT')) return error;
  const blocked = await whatBlocks(qmp).catch(() => []);
  if (blocked.length === 0) return error;
  return blockedError(blocked, error);
}

function noRoom(cause: unknown): QmpilotError {
  return new QmpilotError('NO_SPACE', 'not enough space for the state of the VM', {
    cause,
    hint: 'make room, or set TMPDIR',
  });
}

/** QEMU's own reasons why this machine cannot be saved now; empty when it can. */
export async function whatBlocks(qmp: Machine['qmp']): Promise<readonly string[]> {
  const info = await qmp.execute('query-migrate');
  return info['blocked-reasons'] ?? [];
}
