import { QmpilotError } from '../../errors.js';
import { exitError, type QemuHandle } from '../../qemu/process/process.js';
import { deferred } from '../../util/async/deferred.js';
import type { NewVmEvent } from '../events.js';

/**
 * `running`, `paused`: the guest's CPUs run, or do not. `off`: the guest has powered off, as it was asked to. `exited`: QEMU
 * ended unasked. `closed`: by `vm.close()`. All but `closed` can be left by a restore.
 */
export type VmState = 'running' | 'paused' | 'off' | 'exited' | 'closed';

/** Follows whether the machine of a VM runs, and keeps the one reason when it does not. */
export class MachineLife {
  readonly #name: string;
  readonly #emit: (event: NewVmEvent) => void;
  #ended = deferred<QmpilotError>();
  #over = deferred<QmpilotError>();
  #failure: QmpilotError | undefined;
  #isOff = false;
  #endsExpected = 0;
  #closed = false;
  cpusRun = false;

  constructor(name: string, emit: (event: NewVmEvent) => void) {
    this.#name = name;
    this.#emit = emit;
  }

  get state(): VmState {
    if (this.#closed) return 'closed';
    if (this.#failure) return this.#isOff ? 'off' : 'exited';
    return this.cpusRun ? 'running' : 'paused';
  }

  /** Resolves, with the reason, when QEMU ends unasked; a restore replaces the promise. */
  get ended(): Promise<QmpilotError> {
    return this.#ended.promise;
  }

  /** Resolves, with the reason, when there is no running machine any more, asked for or not; a restore replaces the promise. */
  get over(): Promise<QmpilotError> {
    return this.#over.promise;
  }

  /** Why there is no running machine; undefined while there is one. */
  get failure(): QmpilotError | undefined {
    return this.#failure;
  }

  /** @throws {QEMU_EXITED} {CLOSED} when there is no running machine */
  assertRunning(): void {
    if (this.#failure) throw this.#failureError(this.#failure);
  }

  /** Returns the reason of an error: QEMU's end, when that explains it. Waits for that for at most `ms`. */
  async explain(error: unknown, ms: number): Promise<unknown> {
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([this.over, new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))]);
    clearTimeout(timer);
    return this.#failure ? this.#failureError(error) : error;
  }

  /** An end of QEMU during `task` is asked for, unless a signal or an error of its own ended it. */
  async expectEnd<T>(task: () => Promise<T>): Promise<T> {
    this.#endsExpected += 1;
    try {
      return await task();
    } finally {
      this.#endsExpected -= 1;
    }
  }

  /** The guest has powered off, while QEMU stays or ends. */
  poweredOff({ pid }: QemuHandle): void {
    if (this.#endsExpected > 0) this.#turnedOff();
    else
      this.fail(
        new QmpilotError(
          'QEMU_EXITED',
          `the guest has powered off; its QEMU (pid ${pid}) is kept, for the internal snapshots in it`,
        ),
      );
  }

  /** QEMU has ended. */
  exited(process: QemuHandle): void {
    const { exit } = process;
    if (this.#closed || !exit) return;
    // How a QEMU that was attached to has ended is not known.
    const isNormal = exit.signal === null && (exit.code === 0 || exit.code === null);
    if (this.#endsExpected > 0 && isNormal) this.#turnedOff();
    else this.fail(exitError(undefined, exit, process.stderr(), process.pid, process.args));
  }

  fail(error: QmpilotError): void {
    if (this.#failure || this.#closed) return;
    this.#failure = error;
    this.#emit({ type: 'ended', message: error.message });
    this.#ended.resolve(error);
    this.#over.resolve(error);
  }

  /** Another machine, or another moment of it, takes the place of the one that ended. */
  revive(): void {
    if (this.#failure) {
      this.#ended = deferred();
      this.#over = deferred();
    }
    this.#failure = undefined;
    this.#isOff = false;
  }

  close(): void {
    this.#closed = true;
  }

  #turnedOff(): void {
    if (this.#failure || this.#closed) return;
    const time = new Date().toTimeString().slice(0, 5);
    this.#isOff = true;
    this.#failure = new QmpilotError('CLOSED', `the guest of ${this.#name} has been off since ${time}`);
    this.#over.resolve(this.#failure);
  }

  #failureError(cause: unknown): QmpilotError {
    const { code, message, evidence, hint } = this.#failure ?? new QmpilotError('INTERNAL', 'the machine runs');
    return new QmpilotError(code, message, {
      cause,
      evidence,
      hint: hint === undefined ? RESTORE : `${hint}; ${RESTORE}`,
    });
  }
}

const RESTORE = 'restore a snapshot, or boot again';
