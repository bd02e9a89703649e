import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Duplex } from 'node:stream';
import type { QmpClient } from '../../qmp/client.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import type { QemuExit, QemuHandle } from './process.js';

/** A QEMU that another program started and will end: we hold sockets to it, nothing more. */
export class AttachedQemu implements QemuHandle {
  readonly isOurs = false;
  readonly pid: number;
  readonly args: readonly string[];
  readonly exited: Promise<QemuExit>;
  readonly #qmp: QmpClient;
  readonly #streams: readonly Duplex[];
  #exit: QemuExit | undefined;

  /** @param pid 0 where it could not be found out */
  constructor(qmp: QmpClient, streams: readonly Duplex[], pid: number, args: readonly string[]) {
    this.#qmp = qmp;
    this.#streams = streams;
    this.pid = pid;
    this.args = args;
    // How it ended is for its parent to know; that it ended shows on the socket.
    this.exited = qmp.closed.then(() => (this.#exit = { code: null, signal: null }));
  }

  get exit(): QemuExit | undefined {
    return this.#exit;
  }

  stderr(): string[] {
    return [];
  }

  /** Detaches from it: QEMU keeps running. */
  async kill(): Promise<QemuExit> {
    for (const stream of this.#streams) stream.destroy();
    await this.#qmp.close();
    return this.exited;
  }

  /** Its owner's business. */
  sendSignal(): void {}

  waitForExit(options: WaitOptions = {}): Promise<QemuExit> {
    return awaitWithin<QemuExit>(
      { awaited: 'QEMU to exit', defaultTimeout: 30_000 },
      options,
      (resolve) => void this.exited.then(resolve),
    );
  }
}

export interface RunningQemu {
  readonly pid: number;
  readonly args: readonly string[];
}

/** The process that listens on a unix socket, as far as this user may look; undefined otherwise. */
export async function listenerOf(path: string): Promise<RunningQemu | undefined> {
  const table = await readFile('/proc/net/unix', 'utf8').catch(() => '');
  const inodes = table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.slice(7).join(' ') === path)
    .map((fields) => `socket:[${fields[6]}]`);
  if (inodes.length === 0) return undefined;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const running = await qemuAt(pid);
    if (!running) continue;
    const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const links = await Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => '')));
    if (links.some((link) => inodes.includes(link))) return running;
  }
  return undefined;
}

/** The process of a virtual CPU's thread, which QMP names: found also where its files belong to another user. */
export async function ownerOfThread(thread: number | undefined): Promise<RunningQemu | undefined> {
  const status = thread === undefined ? '' : await readFile(`/proc/${thread}/status`, 'utf8').catch(() => '');
  const pid = /^Tgid:\t(\d+)$/m.exec(status)?.[1];
  return pid === undefined ? undefined : qemuAt(pid);
}

async function qemuAt(pid: string): Promise<RunningQemu | undefined> {
  const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').slice(0, -1);
  return /qemu|kvm/.test(basename(args[0] ?? '')) ? { pid: Number(pid), args } : undefined;
}
