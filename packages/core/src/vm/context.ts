import type { Console } from '../console/console.js';
import { isQmpilotError, QmpilotError } from '../errors.js';
import type { Machine } from '../qemu/process/machine.js';
import type { QmpClient } from '../qmp/client.js';
import type { ConsoleShell } from '../shell/console-shell/console-shell.js';
import type { WaitOptions } from '../util/async/deadline.js';
import { Listeners } from '../util/async/listeners.js';
import { Mutex } from '../util/async/mutex.js';
import { monotonicMs } from '../util/time/clock.js';
import type { NewVmEvent, VmEvent } from './events.js';
import type { VmFamily } from './family.js';
import { Keyboard } from './input/keyboard.js';
import { LifeRecorder } from './inspect/life-recorder.js';
import { KernelLogStream } from './kernel-log-stream.js';
import { MachineSlot } from './machine/machine-slot.js';
import { PortForwards } from './network/port-forwards.js';

/** The longest time between the end of QEMU's sockets and its exit. */
const EXIT_TIMEOUT_MS = 2000;

/** The parts of a VM that its operations work with, in place of `Vm` itself. */
export class VmContext {
  readonly name: string;
  readonly family: VmFamily;
  readonly slot: MachineSlot;
  /** For what replaces the machine, or must not overlap with that. */
  readonly turns: Mutex;
  readonly keyboard: Keyboard;
  readonly life: LifeRecorder;
  readonly kernelLog: KernelLogStream;
  readonly forwards: PortForwards;
  readonly #events = new Listeners<VmEvent>();
  #closed = false;

  constructor(name: string, family: VmFamily, machine: Machine) {
    this.name = name;
    this.family = family;
    this.slot = new MachineSlot(name, family.guest, machine, (event) => this.emit(event));
    this.turns = new Mutex(`the VM ${name}`);
    this.forwards = new PortForwards(
      () => this.machine,
      (event) => this.emit(event),
    );
    this.keyboard = new Keyboard(
      () => this.runningMachine().qmp,
      (typed) => this.emit({ type: 'typed', into: 'keyboard', ...typed }),
    );
    this.kernelLog = new KernelLogStream(this.console);
    this.life = new LifeRecorder(this.console, this.kernelLog, (listener) => this.onEvent(listener));
    this.slot.onRestored(() => {
      this.kernelLog.reset();
      this.life.reset();
    });
    this.console.onTyped((typed) => this.emit({ type: 'typed', into: 'console', ...typed }));
  }

  get console(): Console {
    return this.slot.console;
  }

  get machine(): Machine {
    return this.slot.machine;
  }

  get qmp(): QmpClient {
    return this.slot.machine.qmp;
  }

  /** Resolves when QEMU ends unasked; a restore replaces the promise. */
  get ended(): Promise<QmpilotError> {
    return this.slot.life.ended;
  }

  /** Resolves when there is no running machine any more; a restore replaces the promise. */
  get over(): Promise<QmpilotError> {
    return this.slot.life.over;
  }

  /**
   * Runs an operation on the running guest. One that fails because QEMU has ended rejects with the reason of that.
   * @throws {QEMU_EXITED} {CLOSED}
   */
  async onGuest<T>(task: () => Promise<T>): Promise<T> {
    this.assertRunning();
    try {
      return await task();
    } catch (error) {
      throw !this.#closed && isLinkError(error) ? await this.slot.life.explain(error, EXIT_TIMEOUT_MS) : error;
    }
  }

  /**
   * Runs an operation on the running guest while no other one replaces or pauses its machine.
   * @param doing what it is, for errors: `the pause`
   * @throws {QEMU_EXITED} {CLOSED} {TIMEOUT} {ABORTED}
   */
  async inTurn<T>(
    doing: string,
    options: WaitOptions,
    task: (qmp: QmpClient, wait: WaitOptions) => Promise<T>,
  ): Promise<T> {
    return this.onGuest(() => this.turns.runWithin(doing, options, (wait) => task(this.qmp, wait)));
  }

  /** The shell that detectors use; undefined when the guest has none. */
  get samplingShell(): ConsoleShell | undefined {
    return this.slot.sampling;
  }

  /**
   * A shell for short questions: the detectors' own where there is one, so that it does not wait for a command of `exec`.
   * @throws {USAGE} when the guest has neither
   */
  probeShell(): ConsoleShell {
    return this.slot.sampling ?? this.mainShell();
  }

  /** @throws {USAGE} when the guest has none */
  mainShell(): ConsoleShell {
    if (this.slot.shell) return this.slot.shell;
    throw new QmpilotError('USAGE', `the guest ${this.family.guest.name} has no console shell`, {
      hint: 'start a bash on /dev/hvc0 in the guest and name hvc0 as `shell` in its description; vm.console works without one',
    });
  }

  onEvent(listener: (event: VmEvent) => void): () => void {
    return this.#events.add(listener);
  }

  emit(event: NewVmEvent): void {
    this.#events.emit({ at: monotonicMs(), ...event });
  }

  /** @throws {CLOSED} {QEMU_EXITED} when there is no running machine */
  runningMachine(): Machine {
    this.assertRunning();
    return this.machine;
  }

  /** @throws {CLOSED} {QEMU_EXITED} */
  assertRunning(): void {
    this.assertOpen();
    this.slot.life.assertRunning();
  }

  /** @throws {CLOSED} */
  assertOpen(): void {
    if (this.#closed) throw new QmpilotError('CLOSED', `the VM ${this.name} was closed`);
  }

  markClosed(): void {
    this.#closed = true;
  }

  removeListeners(): void {
    this.kernelLog.close();
    this.#events.clear();
  }
}

function isLinkError(error: unknown): boolean {
  return (
    isQmpilotError(error, 'CONSOLE_CLOSED') || isQmpilotError(error, 'QMP_LINK') || isQmpilotError(error, 'SHELL_LOST')
  );
}
