import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { PreparedGuest } from '../../guests/guest.js';
import type { Machine } from '../../qemu/process/machine.js';
import { ConsoleShell } from '../../shell/console-shell/console-shell.js';
import { type Command } from '../../shell/exec-options.js';
import { describeCommand, requireSuccess, type ExecResult } from '../../shell/exec-result.js';
import { checkVmCommand } from '../../shell/exec-schema.js';
import { collect, type ExecStream } from '../../shell/exec-stream.js';
import { GuestAgentShell } from '../../shell/guest-agent/guest-agent-shell.js';
import { SerialShell } from '../../shell/serial/serial-shell.js';
import { type Shell } from '../../shell/shell.js';
import type { OccupiedConsoles } from '../../snapshot/store.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { withinLimit } from '../../util/async/limit.js';
import type { MachineSlot } from '../machine/machine-slot.js';
import { ConsolePool } from './console-pool.js';
import type { GuestProcess, SpawnOptions } from './guest-process.js';
import { collectInput, InputFeed, isInputStream } from './input-stream.js';
import { allLost, noShell } from './shell-errors.js';
import type { OpenShellOptions, VmExecOptions, VmShellKind } from './shell-options.js';
import { OPEN_MS, SpareConsoles } from './spare-consoles.js';

/** Limit for a shell that has not answered before, until the next kind is tried. */
const TRY_MS = 10_000;
/** For one that was lost before. */
const RETRY_MS = 1000;

/** Chooses and opens the shells of one VM. */
export class VmShells {
  readonly #guest: PreparedGuest;
  readonly #slot: MachineSlot;
  readonly #spares: SpareConsoles;
  /** Shells that were opened on the agent or the serial console. */
  readonly #opened = new Set<Shell>();
  readonly #lost = new WeakMap<Shell, Machine>();
  readonly #pool: ConsolePool | undefined;
  #agent: GuestAgentShell | undefined;
  #serial: SerialShell | undefined;

  constructor(guest: PreparedGuest, slot: MachineSlot) {
    this.#guest = guest;
    this.#slot = slot;
    this.#spares = new SpareConsoles(guest, slot, (command, options) => this.#runBeside(command, options));
    this.#pool =
      slot.shell &&
      new ConsolePool(
        slot.shell,
        async () => {
          const { free } = this.#spares;
          return free === undefined ? undefined : this.#spares.openShell(free, { patience: OPEN_MS });
        },
        (shell) => void this.#spares.forget(shell),
      );
    const release = () => {
      this.#pool?.releaseMain();
      this.#spares.releaseReserved();
    };
    slot.onRestored(release);
    if (guest.shell !== undefined) slot.virtio(guest.shell)?.onReset(release);
  }

  /**
   * Runs a command in the first shell that answers, on a console that runs nothing else. A command is sent to one shell only: another
   * is tried when the one before did not answer at all.
   */
  async exec(command: Command, all: VmExecOptions = {}): Promise<ExecResult> {
    const label = describeCommand(checkVmCommand(command, all));
    const { via, timeout, patience, signal, input, ...options } = all;
    if (isInputStream(input)) return collect(await this.stream(command, all), options);
    return this.use(label, { via, timeout, patience, signal }, (shell, limit) =>
      shell.exec(command, { ...options, input, signal: limit }),
    );
  }

  /** The same for a stream: resolves when it begins. The console is free for others when the command has ended. */
  stream(command: Command, all: VmExecOptions): Promise<ExecStream> {
    const label = describeCommand(checkVmCommand(command, all, 'stream'));
    const { via, timeout, patience, signal, input, ...options } = all;
    return new Promise((resolve, reject) => {
      this.use(label, { via, timeout, patience, signal }, async (shell, limit) => {
        if (!isInputStream(input)) {
          const stream = shell.stream(command, { ...options, input, signal: limit });
          resolve(stream);
          await stream.result.catch(() => {});
          return;
        }
        const feed = await this.#openFeed(limit);
        try {
          const source = feed ? { inputFile: feed.path } : { input: await collectInput(input, limit) };
          const stream = shell.stream(command, { ...options, ...source, signal: limit });
          resolve(stream);
          if (feed) await feed.run(input, stream);
          else await stream.result.catch(() => {});
        } finally {
          await feed?.close();
        }
      }).catch(reject);
    });
  }

  /** Opens another shell for the input of a command; undefined in a guest that has none. */
  async #openFeed(signal: AbortSignal | undefined): Promise<InputFeed | undefined> {
    const shell = await this.open({ signal, patience: OPEN_MS }).catch((error: unknown) => {
      if (isQmpilotError(error, 'USAGE')) return undefined;
      throw error;
    });
    return shell && InputFeed.open(shell, signal);
  }

  /** Runs `task` with the first shell that answers; other commands use other consoles at that time. */
  use<T>(
    label: string,
    { via, ...wait }: OpenShellOptions,
    task: (shell: Shell, signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<T> {
    const shells = this.#choices(via);
    return withinLimit({ ...wait, awaited: `${label} in the guest` }, async (signal) => {
      const failures: QmpilotError[] = [];
      for (const shell of shells) {
        let begun = false;
        const run = async (one: Shell) => {
          if (shells.length > 1) await this.#answering(one, { signal });
          begun = true;
          return task(one, signal);
        };
        try {
          return await (shell === this.#slot.shell && this.#pool ? this.#pool.use(label, signal, run) : run(shell));
        } catch (error) {
          if (begun || !isQmpilotError(error, 'SHELL_LOST')) throw error;
          failures.push(error);
        }
      }
      throw allLost(this.#guest.name, failures);
    });
  }

  /** The first shell that answers. */
  async best(options: OpenShellOptions = {}): Promise<Shell> {
    const shells = this.#choices(options.via);
    return withinLimit({ ...options, awaited: 'a shell of the guest' }, async (signal) => {
      for (const [index, choice] of shells.entries()) {
        try {
          const shell = choice === this.#slot.shell && this.#pool ? await this.#pool.next() : choice;
          await this.#answering(shell, { signal });
          return shell;
        } catch (error) {
          if (!isQmpilotError(error, 'SHELL_LOST') || index === shells.length - 1) throw error;
        }
      }
      throw noShell(this.#guest.name);
    });
  }

  async open(options: OpenShellOptions = {}): Promise<Shell> {
    const { via } = options;
    if ((via ?? 'console') === 'console') {
      const opened = this.#pool?.takeSpare();
      if (opened) return opened;
      const { free } = this.#spares;
      const { signal, timeout, patience } = options;
      if (free !== undefined) return this.#spares.openShell(free, { signal, timeout, patience });
    }
    if (via === 'console') {
      throw new QmpilotError(
        'USAGE',
        `the guest ${this.#guest.name} has no spare virtio console left for another shell`,
        {
          hint: "close a shell that you opened before, or use via: 'guest-agent'",
        },
      );
    }
    const { agent } = this.#slot;
    let shell: Shell | undefined;
    if (via === 'serial') shell = this.#serialShell();
    else if (agent) shell = new GuestAgentShell(agent);
    if (!shell) throw noShell(this.#guest.name);
    await shell.ready(options);
    this.#opened.add(shell);
    return shell;
  }

  /** Runs a program on a spare virtio console, as its terminal. One that the pool has opened, but that nothing runs on, is taken from it. */
  spawn(command: Command, options: SpawnOptions): Promise<GuestProcess> {
    return this.#spares.spawn(command, options, () => {
      const { free } = this.#spares;
      if (free !== undefined) return free;
      const opened = this.#pool?.takeSpare();
      return opened && this.#spares.forget(opened);
    });
  }

  /** The consoles on which commands or processes run. */
  get occupied(): OccupiedConsoles {
    const isIdle = (shell: ConsoleShell) => shell.isFree && this.#pool?.isLeased(shell) !== true;
    return { shell: this.#pool?.isMainOccupied === true, spares: this.#spares.occupied(isIdle) };
  }

  /** Leaves consoles alone on which commands run that were started in another VM: to ask a shell for an answer would end them. A restore or a reset ends these commands. */
  leaveAlone({ shell, spares }: OccupiedConsoles): void {
    if (shell) this.#pool?.reserveMain();
    for (const name of spares) this.#spares.reserve(name);
  }

  close(): void {
    this.#pool?.close();
    this.#spares.close();
    for (const shell of [...this.#opened, this.#agent, this.#serial]) shell?.close();
  }

  #choices(via: VmShellKind | undefined): Shell[] {
    const { shell, agent } = this.#slot;
    if (agent) this.#agent ??= new GuestAgentShell(agent);
    const serial = this.#guest.login || via === 'serial' ? this.#serialShell() : undefined;
    const all = [shell, this.#agent, serial].filter((one) => one !== undefined);
    const chosen = via === undefined ? all : all.filter(({ kind }) => kind === via);
    if (chosen.length === 0) throw noShell(this.#guest.name, via);
    return chosen;
  }

  #serialShell(): SerialShell {
    this.#serial ??= new SerialShell(this.#slot.console, { prompt: this.#guest.login?.prompt });
    return this.#serial;
  }

  async #answering(shell: Shell, options: WaitOptions): Promise<void> {
    // A shell that starts again after a reset has a wait of its own.
    if (shell instanceof ConsoleShell && (shell.answers || shell.isAwaited)) return;
    const { machine } = this.#slot;
    try {
      await shell.ready({ signal: options.signal, patience: this.#lost.get(shell) === machine ? RETRY_MS : TRY_MS });
      this.#lost.delete(shell);
    } catch (error) {
      if (isQmpilotError(error, 'SHELL_LOST')) this.#lost.set(shell, machine);
      throw error;
    }
  }

  /** Runs a command on the detectors' shell where it answers, so that it does not wait for long commands. */
  async #runBeside(command: string, options: WaitOptions): Promise<ExecResult> {
    const { sampling } = this.#slot;
    const answers =
      sampling && !(await sampling.ping({ signal: options.signal, patience: RETRY_MS }).catch(() => 'lost'));
    return requireSuccess(await (answers ? sampling : this).exec(command, options));
  }
}
