import type { Duplex } from 'node:stream';
import { Channel } from '../../console/channel.js';
import { Console } from '../../console/console.js';
import { QmpilotError } from '../../errors.js';
import type { PreparedGuest } from '../../guests/guest.js';
import { AGENT_PORT } from '../../qemu/command-line/arguments.js';
import type { Machine } from '../../qemu/process/machine.js';
import { exitError, QemuProcess } from '../../qemu/process/process.js';
import { onStopped } from '../../qemu/process/stopped.js';
import { GuestAgent } from '../../qmp/guest-agent/guest-agent.js';
import { ConsoleShell } from '../../shell/console-shell/console-shell.js';
import type { WaitOptions } from '../../util/deadline.js';
import { deferred } from '../../util/deferred.js';
import { Listeners } from '../../util/listeners.js';
import type { NewVmEvent } from '../events.js';
import { sizeByShell } from '../shells/console-size.js';

/**
 * Where a vm has its machine. A restore puts another machine there; the consoles and shells stay the same objects, and go on
 * with the new one.
 */
export class MachineSlot {
  readonly console: Console;
  readonly shell: ConsoleShell | undefined;
  readonly sampling: ConsoleShell | undefined;
  /** Undefined when the machine has no port for it. */
  readonly agent: GuestAgent | undefined;
  readonly #virtio: ReadonlyMap<string, Channel>;
  readonly #emit: (event: NewVmEvent) => void;
  #machine: Machine;
  #ended = deferred<QmpilotError>();
  #failure: QmpilotError | undefined;
  #endsExpected = 0;
  /** We have stopped it ourselves. */
  #held = false;
  #closed = false;
  /** Those whose QEMU stays when the guest powers off. */
  readonly #keptAlive = new WeakSet<Machine>();
  readonly #changes = new Listeners<Machine>();
  /** Former machines on their way out. */
  readonly #going = new Set<Promise<void>>();

  constructor(guest: PreparedGuest, machine: Machine, emit: (event: NewVmEvent) => void) {
    this.#machine = machine;
    this.#emit = emit;
    this.console = new Console(
      new Channel('ttyS0'),
      sizeByShell(() => this.sampling ?? this.shell),
    );
    this.#virtio = new Map(guest.virtioConsoles.map((name) => [name, new Channel(name)]));
    this.shell = this.#shellOn(guest.shell);
    this.sampling = this.#shellOn(guest.samplingShell);
    this.agent = guest.guestAgent ? new GuestAgent(() => this.#agentStream()) : undefined;
    this.#reattach();
    this.#follow(machine);
  }

  /** The channel to a virtio console; undefined when the guest has none of that name. */
  virtio(name: string): Channel | undefined {
    return this.#virtio.get(name);
  }

  get machine(): Machine {
    return this.#machine;
  }

  /** Resolves, with the reason, when QEMU ends although nobody asked it to; another promise after an `exchange`. */
  get ended(): Promise<QmpilotError> {
    return this.#ended.promise;
  }

  /** Why there is no running machine; undefined while there is one. */
  get failure(): QmpilotError | undefined {
    return this.#failure;
  }

  /** @throws what the failure is, when there is no running machine */
  assertRunning(): void {
    const failure = this.#failure;
    if (failure)
      throw new QmpilotError(failure.code, failure.message, {
        cause: failure,
        hint: 'restore a snapshot, or boot again',
      });
  }

  /** Whatever ends QEMU during `task` is no failure of the vm. */
  async expectEnd<T>(task: () => Promise<T>): Promise<T> {
    this.#endsExpected += 1;
    try {
      return await task();
    } finally {
      this.#endsExpected -= 1;
    }
  }

  /**
   * Replaces the machine by the one that `start` returns. The current one is stopped meanwhile and then ended, or continues as it was
   * when `start` fails; its files are disposed of in the background.
   */
  async exchange(dispose: (old: Machine) => Promise<void>, start: () => Promise<Machine>): Promise<void> {
    // A guest in a busy loop must not take the processor that loading needs.
    this.#machine.process.sendSignal('SIGSTOP');
    this.#held = true;
    try {
      this.#put(await start(), dispose, () => this.#reattach());
    } catch (error) {
      this.#machine.process.sendSignal('SIGCONT');
      throw error;
    } finally {
      this.#held = false;
    }
  }

  /** Puts a machine there in which the same guest goes on; the consoles and shells do not notice, their input waits meanwhile. */
  async move<T extends { readonly successor: Machine }>(
    dispose: (old: Machine) => Promise<void>,
    start: () => Promise<T>,
  ): Promise<T> {
    const release = this.#channels().map((channel) => channel.holdInput());
    try {
      const started = await start();
      await Promise.all(this.#channels().map((channel) => channel.drain()));
      this.#put(started.successor, dispose, () => this.#moveChannels());
      return started;
    } finally {
      for (const step of release) step();
    }
  }

  /** Calls `listener` with the machine that is there, and with each that is put there; gives the function that ends it. */
  onMachine(listener: (machine: Machine) => void): () => void {
    listener(this.#machine);
    return this.#changes.add(listener);
  }

  /**
   * From now on QEMU stays when its guest powers off, for a snapshot that lives in it; for the vm it is the end all the same. A QEMU that
   * was attached to does as its owner said.
   */
  async keepAliveOnPoweroff(options: WaitOptions): Promise<void> {
    const machine = this.#machine;
    if (!machine.process.isOurs) return;
    await machine.qmp.execute('set-action', { shutdown: 'pause' }, options);
    this.#keptAlive.add(machine);
  }

  /** The same machine, at another moment: pending operations with its guest are told. */
  markRestored(): void {
    this.#revive();
    this.#reattach();
  }

  #revive(): void {
    if (this.#failure) this.#ended = deferred();
    this.#failure = undefined;
  }

  #reattach(): void {
    this.agent?.interrupt(new QmpilotError('QMP_LINK', 'the vm was restored'));
    this.#eachStream((channel, stream) => channel.attach(stream));
  }

  /** Kills QEMU; final: a machine that comes later is killed at once. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#endsExpected += 1;
    this.shell?.close();
    this.sampling?.close();
    await this.agent?.close();
    await Promise.all([this.#machine.process.kill(), ...this.#going]);
    this.#changes.clear();
    this.console.close();
    this.console.channel.close();
    for (const channel of this.#virtio.values()) channel.close();
  }

  /** Puts another machine there and ends the present one, with its files, in the background. */
  #put(successor: Machine, dispose: (old: Machine) => Promise<void>, connect: () => void): void {
    if (this.#closed) {
      this.#end(successor, dispose);
      throw new QmpilotError('CLOSED', 'the vm was closed before its next machine was there');
    }
    const old = this.#machine;
    this.#machine = successor;
    this.#revive();
    connect();
    this.#follow(successor);
    this.#changes.emit(successor);
    this.#end(old, dispose);
  }

  #end(machine: Machine, dispose: (old: Machine) => Promise<void>): void {
    const going = end(machine, dispose).finally(() => this.#going.delete(going));
    this.#going.add(going);
  }

  #moveChannels(): void {
    this.agent?.interrupt(new QmpilotError('QMP_LINK', 'the vm went on in another QEMU'));
    this.#eachStream((channel, stream) => channel.moveTo(stream));
  }

  #channels(): Channel[] {
    return [this.console.channel, ...this.#virtio.values()];
  }

  #eachStream(connect: (channel: Channel, stream: Duplex) => void): void {
    const { serial, virtio } = this.#machine;
    const streams = [serial, ...virtio];
    for (const [index, channel] of this.#channels().entries()) {
      const stream = streams[index];
      if (stream) connect(channel, stream);
    }
  }

  #follow(machine: Machine): void {
    machine.qmp.on(({ event, data }) => {
      if (machine !== this.#machine) return;
      if (event === 'VSERPORT_CHANGE' && data.id === AGENT_PORT && !data.open) this.agent?.interrupt();
      if (event === 'SHUTDOWN' && this.#keptAlive.has(machine) && this.#endsExpected === 0)
        this.#fail(poweredOff(machine));
      this.#emit({ type: 'qmp', event, data: { ...data } });
    });
    const forget =
      machine.process instanceof QemuProcess
        ? onStopped(machine.process.pid, (error) => this.#onStopped(machine, error))
        : () => {};
    void machine.process.exited.then(() => {
      forget();
      if (machine === this.#machine && this.#endsExpected === 0) this.#onExit(machine);
    });
    this.#emit({ type: 'started', pid: machine.process.pid });
  }

  #agentStream(): Duplex {
    const { agent } = this.#machine;
    if (agent && !agent.destroyed) return agent;
    throw new QmpilotError('QMP_LINK', 'the port of the guest agent is closed', {
      hint: 'see why QEMU ended: its exit status and its standard error',
    });
  }

  #onExit({ process }: Machine): void {
    if (process.exit)
      this.#fail(exitError('it was running', process.exit, process.stderr(), process.pid, process.args));
  }

  #onStopped(machine: Machine, error: QmpilotError): void {
    if (machine !== this.#machine || this.#held) return;
    this.#fail(error);
    void machine.process.kill();
  }

  #fail(error: QmpilotError): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#emit({ type: 'ended', message: error.message });
    this.#ended.resolve(error);
  }

  #shellOn(console: string | undefined): ConsoleShell | undefined {
    const channel = console === undefined ? undefined : this.#virtio.get(console);
    return channel && new ConsoleShell(channel, { hasAgent: this.#machine.loaded === true });
  }
}

function poweredOff({ process }: Machine): QmpilotError {
  return new QmpilotError(
    'QEMU_EXITED',
    `the guest has powered off; its QEMU (pid ${process.pid}) is paused, for the internal snapshots in it`,
  );
}

/** Never rejects: what cannot be removed now goes with the controller's folders. */
async function end(machine: Machine, dispose: (old: Machine) => Promise<void>): Promise<void> {
  try {
    await machine.process.kill();
    await machine.qmp.close();
    await dispose(machine);
  } catch {
    // Said above.
  }
}
