import { once } from 'node:events';
import type { Server } from 'node:net';
import { QmpilotError, type Snapshot, type Vm } from '@qmpilot/core';
import type { ConsoleLog } from './console-log.js';
import { serve, type Handlers } from './server.js';
import { markEnded, socketOf, type VmRecord } from './state.js';
import type { VmStatus } from './verbs.js';

/** One named VM of a daemon: its socket, its log, its end. */
export class HostedVm {
  readonly record: VmRecord;
  readonly directory: string;
  readonly vm: Vm;
  readonly #log: ConsoleLog;
  readonly #onEnd: (hosted: HostedVm) => void;
  readonly #taken = new Map<string, Snapshot>();
  #server: Server | undefined;
  #gone: string | undefined;
  #ending: Promise<void> | undefined;

  constructor(vm: Vm, record: VmRecord, directory: string, log: ConsoleLog, onEnd: (hosted: HostedVm) => void) {
    this.vm = vm;
    this.record = record;
    this.directory = directory;
    this.#onEnd = onEnd;
    this.#log = log;
    vm.console.setTranscript(log);
  }

  /** Opens the socket for commands, and follows the VM. */
  async open(handlers: Handlers): Promise<void> {
    this.#server = await serve(socketOf(this.directory), handlers);
    this.follow();
  }

  /** The snapshot that this VM took under a name; undefined when there is none. */
  taken(name: string): Snapshot | undefined {
    return this.vm.snapshots.some((snapshot) => snapshot.name === name) ? this.#taken.get(name) : undefined;
  }

  /** Takes a snapshot whose VMs can reboot. */
  async takeSnapshot(name: string, signal: AbortSignal): Promise<Snapshot> {
    const snapshot = await this.vm.snapshot(name, { signal, reboots: true });
    this.#taken.set(name, snapshot);
    return snapshot;
  }

  /** Watches for an unexpected end of QEMU; called again after a restore, which starts another QEMU. */
  follow(): void {
    this.#gone = undefined;
    const ended = this.vm.ended;
    void ended.then((error) => {
      if (this.vm.ended === ended) this.qemuEnded(error.message);
    });
  }

  /** Called when QEMU has ended: without a snapshot to restore, so has the VM. */
  qemuEnded(reason: string): void {
    this.#gone = reason;
    if (this.vm.snapshots.length === 0) void this.end(reason);
  }

  /** @throws {CLOSED} when the guest is powered off, or QEMU has ended */
  assertOn(): void {
    if (this.#gone === undefined) return;
    const { name } = this.record;
    const [snapshot] = this.vm.snapshots;
    throw new QmpilotError('CLOSED', `the VM ${name} is off: ${this.#gone}`, {
      hint: snapshot
        ? `restore it: qmpilot restore ${name} ${snapshot.name}; or remove it: qmpilot rm ${name}`
        : `remove it: qmpilot rm ${name}`,
    });
  }

  async status(): Promise<VmStatus> {
    const { facts } = this.vm;
    const { status } =
      this.#gone === undefined
        ? await this.vm.qmp
            .execute('query-status', undefined, { timeout: '2s' })
            .catch(() => ({ status: 'not answering' }))
        : { status: 'off' };
    return {
      name: this.record.name,
      status,
      ...(this.#gone !== undefined && { reason: this.#gone }),
      guest: this.record.guest,
      ...(this.#gone === undefined && { qemuPid: this.vm.pid }),
      daemonPid: process.pid,
      accelerator: facts.accelerator.accelerator,
      cpus: facts.cpus,
      memoryMiB: facts.memoryMiB,
      startedAt: this.record.createdAt,
      snapshots: this.vm.snapshots,
    };
  }

  /** Ends VM, socket and log; vm.json and console.log remain. */
  end(reason: string): Promise<void> {
    this.#ending ??= this.#end(reason);
    return this.#ending;
  }

  async #end(reason: string): Promise<void> {
    await this.vm.close();
    this.#log.close();
    await markEnded(this.directory, this.record, reason);
    if (this.#server) {
      const closed = once(this.#server, 'close');
      this.#server.close();
      // Open connections get their answer from their handlers; new ones are refused.
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 1000))]);
    }
    this.#onEnd(this);
  }
}
