import type { Duplex } from 'node:stream';
import { Channel } from '../../console/channel.js';
import { Console } from '../../console/console.js';
import { QmpilotError } from '../../errors.js';
import type { PreparedGuest } from '../../guests/guest.js';
import { AGENT_PORT } from '../../qemu/command-line/arguments.js';
import type { Machine } from '../../qemu/process/machine.js';
import { QemuProcess } from '../../qemu/process/process.js';
import { onStopped } from '../../qemu/process/stopped.js';
import { GuestAgent } from '../../qmp/guest-agent/guest-agent.js';
import { ConsoleShell } from '../../shell/console-shell/console-shell.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { Listeners } from '../../util/async/listeners.js';
import { CopyPort } from '../copy/copy-port.js';
import type { NewVmEvent } from '../events.js';
import { sizeByShell } from './console-size.js';
import { MachineLife } from './machine-life.js';

/**
 * Holds the machine of a VM. A restore replaces the machine; the consoles and shells stay the same objects, and continue with the
 * new one.
 */
export class MachineSlot {
  readonly console: Console;
  readonly life: MachineLife;
  readonly shell: ConsoleShell | undefined;
  readonly sampling: ConsoleShell | undefined;
  /** Undefined when the machine has no port for it. */
  readonly agent: GuestAgent | undefined;
  /** Undefined when the machine has no port for it. */
  readonly copyPort: CopyPort | undefined;
  readonly #copy: Channel | undefined;
  readonly #virtio: ReadonlyMap<string, Channel>;
  readonly #emit: (event: NewVmEvent) => void;
  #machine: Machine;
  /** Whether we have stopped it ourselves. */
  #held = false;
  #closed = false;
  /** Machines whose QEMU stays when the guest powers off. */
  readonly #keptAlive = new WeakSet<Machine>();
  readonly #changes = new Listeners<Machine>();
  readonly #restored = new Listeners<void>();
  /** Former machines on their way out. */
  readonly #going = new Set<Promise<void>>();

  constructor(name: string, guest: PreparedGuest, machine: Machine, emit: (event: NewVmEvent) => void) {
    this.#machine = machine;
    this.#emit = emit;
    this.life = new MachineLife(name, emit);
    this.console = new Console(
      new Channel('ttyS0'),
      sizeByShell(() => this.sampling ?? this.shell),
    );
    this.#virtio = new Map(guest.virtioConsoles.map((name) => [name, new Channel(name)]));
    this.shell = this.#shellOn(guest.shell);
    this.sampling = this.#shellOn(guest.samplingShell);
    this.agent = guest.guestAgent ? new GuestAgent(() => this.#agentStream()) : undefined;
    this.#copy = machine.copy && new Channel('copy-port');
    this.copyPort = this.#copy && new CopyPort(this.#copy);
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

  /**
   * Replaces the machine by the one that `start` returns. The present one is stopped meanwhile and then ended, or continued when
   * `start` fails; its files are removed in the background.
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

  /** Replaces the machine by one in which the same guest continues. Consoles and shells do not notice; their input waits meanwhile. */
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

  /** Calls `listener` with the present machine and with each that replaces it; returns an unsubscribe function. */
  onMachine(listener: (machine: Machine) => void): () => void {
    listener(this.#machine);
    return this.#changes.add(listener);
  }

  /** Calls `listener` when the guest is at another moment, before it runs; returns an unsubscribe function. */
  onRestored(listener: () => void): () => void {
    return this.#restored.add(listener);
  }

  /**
   * Has QEMU stay when its guest powers off, for a snapshot that is in it; for the VM it is still the end. A QEMU that was
   * attached to keeps its owner's setting.
   */
  async keepAliveOnPoweroff(options: WaitOptions): Promise<void> {
    const machine = this.#machine;
    if (!machine.process.isOurs) return;
    await machine.qmp.execute('set-action', { shutdown: 'pause' }, options);
    this.#keptAlive.add(machine);
  }

  /** The same machine is at another moment: what is under way with its guest fails. */
  markRestored(): void {
    this.life.revive();
    this.#reattach();
  }

  #reattach(): void {
    this.agent?.interrupt(new QmpilotError('QMP_LINK', 'the VM was restored'));
    this.#eachStream((channel, stream) => channel.attach(stream));
    this.#restored.emit();
  }

  /** Kills QEMU. A machine that is started after this is killed at once. */
  async close(): Promise<void> {
    this.#closed = true;
    this.life.close();
    this.shell?.close();
    this.sampling?.close();
    await this.agent?.close();
    await Promise.all([this.#machine.process.kill(), ...this.#going]);
    this.#changes.clear();
    this.#restored.clear();
    this.console.close();
    this.console.channel.close();
    for (const channel of this.#virtio.values()) channel.close();
    this.#copy?.close();
  }

  /** Replaces the machine and ends the present one, with its files, in the background. */
  #put(successor: Machine, dispose: (old: Machine) => Promise<void>, connect: () => void): void {
    if (this.#closed) {
      this.#end(successor, dispose);
      throw new QmpilotError('CLOSED', 'the VM was closed before its next machine was started');
    }
    const old = this.#machine;
    this.#machine = successor;
    this.life.revive();
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
    this.agent?.interrupt(new QmpilotError('QMP_LINK', 'the VM continued in another QEMU'));
    this.#eachStream((channel, stream) => channel.moveTo(stream));
  }

  #channels(): Channel[] {
    return [this.console.channel, ...this.#virtio.values(), ...(this.#copy ? [this.#copy] : [])];
  }

  #eachStream(connect: (channel: Channel, stream: Duplex) => void): void {
    const { serial, virtio, copy } = this.#machine;
    const streams = [serial, ...virtio, copy];
    for (const [index, channel] of this.#channels().entries()) {
      const stream = streams[index];
      if (stream) connect(channel, stream);
    }
  }

  #follow(machine: Machine): void {
    let eventSeen = false;
    machine.qmp.on(({ event, data }) => {
      if (machine !== this.#machine) return;
      if (event === 'VSERPORT_CHANGE' && data.id === AGENT_PORT && !data.open) this.agent?.interrupt();
      if (event === 'SHUTDOWN' && this.#keptAlive.has(machine)) this.life.poweredOff(machine.process);
      if (event === 'RESET') this.#onReset();
      if (event === 'STOP' || event === 'RESUME') {
        eventSeen = true;
        this.life.cpusRun = event === 'RESUME';
      }
      this.#emit({ type: 'qmp', event, data: { ...data } });
    });
    machine.qmp.execute('query-status').then(
      ({ running }) => {
        // An event that arrives together with the answer is handled before it, and is newer.
        if (machine === this.#machine && !eventSeen) this.life.cpusRun = running;
      },
      () => {},
    );
    const forget =
      machine.process instanceof QemuProcess
        ? onStopped(machine.process.pid, (error) => this.#onStopped(machine, error))
        : () => {};
    void machine.process.exited.then(() => {
      forget();
      if (machine === this.#machine) this.life.exited(machine.process);
    });
    this.#emit({ type: 'started', pid: machine.process.pid });
  }

  /** The guest starts from scratch in the same QEMU: what its shells ran is gone, and they are to come. */
  #onReset(): void {
    const error = () => new QmpilotError('SHELL_LOST', 'the guest was reset');
    this.agent?.interrupt(error());
    for (const channel of this.#channels()) channel.guestReset();
  }

  #agentStream(): Duplex {
    const { agent } = this.#machine;
    if (agent && !agent.destroyed) return agent;
    throw new QmpilotError('QMP_LINK', 'the port of the guest agent is closed', {
      hint: 'see why QEMU ended: its exit status and its standard error',
    });
  }

  #onStopped(machine: Machine, error: QmpilotError): void {
    if (machine !== this.#machine || this.#held) return;
    this.life.fail(error);
    void machine.process.kill();
  }

  #shellOn(console: string | undefined): ConsoleShell | undefined {
    const channel = console === undefined ? undefined : this.#virtio.get(console);
    return channel && new ConsoleShell(channel, { hasHelper: this.#machine.origin !== undefined });
  }
}

/** Never rejects: what cannot be removed now is removed with the controller's directories. */
async function end(machine: Machine, dispose: (old: Machine) => Promise<void>): Promise<void> {
  try {
    await machine.process.kill();
    await machine.qmp.close();
    await dispose(machine);
  } catch {
    // See above: the reaper removes the rest.
  }
}
