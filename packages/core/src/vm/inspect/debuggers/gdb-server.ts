import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isQmpilotError, QmpilotError } from '../../../errors.js';
import { acquireHostDirectories, releaseHostDirectories } from '../../../qemu/host/directories.js';
import type { Machine } from '../../../qemu/process/machine.js';
import type { WaitOptions } from '../../../util/async/deadline.js';
import type { VmContext } from '../../context.js';

/** QEMU's gdb server, on a socket that only this user can connect to. */
export interface GdbServer extends AsyncDisposable {
  /** Path of the Unix socket: `target remote PATH`. */
  readonly socket: string;
  /** Closes it, and lets the guest run on if it ran when the server was opened. */
  close(): Promise<void>;
}

/** Machines whose QEMU serves gdb: it has one server, and a second one would take the place of the first. */
const served = new WeakSet<Machine>();

/** Has QEMU serve gdb; the guest runs on until gdb connects. */
export function openGdbServer({ turns, slot, name }: VmContext, wait: WaitOptions): Promise<GdbServer> {
  return turns.runWithin('opening the gdb server', wait, async (limit) => {
    const { machine } = slot;
    if (served.has(machine))
      throw new QmpilotError('ALREADY_EXISTS', `the VM ${name} has a gdb server already`, {
        hint: 'close that one first, or end the qmpilot gdb that opened it',
      });
    const server = await serve(machine, limit);
    served.add(machine);
    return server;
  });
}

async function serve(machine: Machine, wait: WaitOptions): Promise<GdbServer> {
  const { qmp } = machine;
  const { running } = await qmp.execute('query-status', undefined, wait);
  const { disk } = await acquireHostDirectories();
  const socket = join(disk, `gdb-${randomUUID().slice(0, 8)}`);
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    try {
      await qmp.execute('human-monitor-command', { 'command-line': 'gdbserver none' });
      const { status } = await qmp.execute('query-status');
      // `debug` at a breakpoint, `paused` when gdb has just connected.
      if (running && (status === 'debug' || status === 'paused')) await qmp.execute('cont');
    } catch (error) {
      // Its QEMU has ended, by itself or because a restore put another one in its place: the server has ended with it.
      if (!isQmpilotError(error, 'QMP_LINK')) throw error;
    } finally {
      served.delete(machine);
      await rm(socket, { force: true });
      await releaseHostDirectories();
    }
  };
  try {
    const line = `gdbserver unix:${socket},server=on,wait=off`;
    const text = await qmp.execute('human-monitor-command', { 'command-line': line }, wait);
    if (!text.startsWith('Waiting for gdb'))
      throw new QmpilotError('QMP_COMMAND', `QEMU cannot serve gdb: ${text.trim()}`);
  } catch (error) {
    await close();
    throw error;
  }
  return { socket, close, [Symbol.asyncDispose]: close };
}
