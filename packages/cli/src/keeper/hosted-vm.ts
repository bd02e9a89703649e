import { once } from 'node:events';
import type { Server } from 'node:net';
import { join } from 'node:path';
import type { Vm } from '@qmpilot/core';
import { ConsoleLog } from './console-log.js';
import { vmHandlers } from './handlers.js';
import { serve } from './server.js';
import { markEnded, socketOf, type VmRecord } from './state.js';
import type { VmStatus } from './verbs.js';

/** One named vm of a keeper: its socket, its log, its end. */
export class HostedVm {
  readonly record: VmRecord;
  readonly directory: string;
  readonly vm: Vm;
  readonly #log: ConsoleLog;
  readonly #onEnd: (hosted: HostedVm) => void;
  #server: Server | undefined;
  #gone: string | undefined;
  #ending: Promise<void> | undefined;

  constructor(vm: Vm, record: VmRecord, directory: string, onEnd: (hosted: HostedVm) => void) {
    this.vm = vm;
    this.record = record;
    this.directory = directory;
    this.#onEnd = onEnd;
    this.#log = new ConsoleLog(join(directory, 'console.log'));
    vm.console.setTranscript(this.#log);
  }

  /** From now on commands reach it. `fork` makes another named vm of the same keeper. */
  async open(fork: (from: HostedVm, snapshot: string, name: string) => Promise<HostedVm>): Promise<void> {
    this.#server = await serve(socketOf(this.directory), vmHandlers(this, fork));
    this.follow();
  }

  /** Waits for QEMU's unasked end; called again after a restore, which begins another QEMU. */
  follow(): void {
    this.#gone = undefined;
    const ended = this.vm.ended;
    void ended.then((error) => {
      if (this.vm.ended === ended) this.qemuEnded(error.message);
    });
  }

  /** QEMU is gone: without a snapshot to come back from, so is the vm. */
  qemuEnded(reason: string): void {
    this.#gone = reason;
    if (this.vm.snapshots.length === 0) void this.end(reason);
  }

  async status(): Promise<VmStatus> {
    const { facts } = this.vm;
    const { status } =
      this.#gone === undefined
        ? await this.vm.qmp
            .execute('query-status', undefined, { timeout: '2s' })
            .catch(() => ({ status: 'not answering' }))
        : { status: 'ended' };
    return {
      name: this.record.name,
      status,
      ...(this.#gone !== undefined && { reason: this.#gone }),
      guest: this.record.guest,
      qemuPid: this.vm.pid,
      keeperPid: process.pid,
      accelerator: facts.accelerator.accelerator,
      cpus: facts.cpus,
      memoryMiB: facts.memoryMiB,
      startedAt: this.record.createdAt,
      snapshots: this.vm.snapshots,
    };
  }

  /** Ends vm, socket and log; what it was stays in vm.json and console.log. */
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
      // Whoever still waits on a connection hears of the end within its handler; nobody new comes in.
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 1000))]);
    }
    this.#onEnd(this);
  }
}
