import { QmpilotError } from '../../errors.js';
import type { PreparedGuest } from '../../guests/guest.js';
import { ConsoleShell } from '../../shell/console-shell/console-shell.js';
import type { Command } from '../../shell/exec-options.js';
import type { ExecResult } from '../../shell/exec-result.js';
import { checkCommand } from '../../shell/exec-schema.js';
import { pause, type WaitOptions } from '../../util/async/deadline.js';
import { validate } from '../../util/validation/validate.js';
import type { MachineSlot } from '../machine/machine-slot.js';
import { GuestProcess, SPAWN_OPTIONS, type SpawnOptions } from './guest-process.js';
import { killOnConsole, startBash } from './start-bash.js';

/** For a bash to start on a spare console. */
export const OPEN_MS = 20_000;
/** For a program that was not started to be killed, before the caller hears of it. */
const CLEANUP_MS = 700;

/** The spare virtio consoles of a guest: which are free, and the shells and programs on the others. */
export class SpareConsoles {
  readonly #guest: PreparedGuest;
  readonly #slot: MachineSlot;
  readonly #run: (command: string, options: WaitOptions) => Promise<ExecResult>;
  readonly #users = new Map<{ close(): unknown }, string>();
  readonly #reserved = new Set<string>();

  /** @param run runs a command in the guest, beside those on the consoles, and throws when it fails */
  constructor(
    guest: PreparedGuest,
    slot: MachineSlot,
    run: (command: string, options: WaitOptions) => Promise<ExecResult>,
  ) {
    this.#guest = guest;
    this.#slot = slot;
    this.#run = run;
  }

  /** A console that nothing uses; undefined when there is none. */
  get free(): string | undefined {
    const taken = new Set([...this.#users.values(), ...this.#reserved]);
    return this.#guest.spareConsoles?.find((name) => !taken.has(name));
  }

  /** The consoles in use, without those of idle shells. */
  occupied(isIdle: (shell: ConsoleShell) => boolean): readonly string[] {
    const used = [...this.#users].flatMap(([user, name]) =>
      user instanceof ConsoleShell && isIdle(user) ? [] : [name],
    );
    return [...used, ...this.#reserved];
  }

  /** Leaves a console alone on which something runs that was started in another VM. */
  reserve(name: string): void {
    this.#reserved.add(name);
  }

  /** Uses the reserved consoles again: what ran on them is gone. */
  releaseReserved(): void {
    this.#reserved.clear();
  }

  /** Starts a bash on the console; processes that use it are killed. */
  async openShell(name: string, options: WaitOptions): Promise<ConsoleShell> {
    const channel = this.#slot.virtio(name);
    if (!channel)
      throw new QmpilotError('USAGE', `${name} is not among the virtio consoles of the guest ${this.#guest.name}`);
    // Its console is free again once its bash has ended; one that does not answer is killed. In a guest that hangs it stays occupied.
    const shell: ConsoleShell = new ConsoleShell(channel, {
      onClose: () =>
        void shell
          .quit()
          .catch(() => this.#run(killOnConsole(name), { patience: OPEN_MS }))
          .then(() => this.#users.delete(shell))
          .catch(() => {}),
    });
    this.#users.set(shell, name);
    try {
      await this.#run(startBash(name), options);
      await shell.ready(options);
      return shell;
    } catch (error) {
      shell.close();
      this.#users.delete(shell);
      throw error;
    }
  }

  /** Runs a program on the console that `take` returns, as its terminal. @throws {USAGE} when there is none */
  async spawn(command: Command, options: SpawnOptions, take: () => string | undefined): Promise<GuestProcess> {
    const source = checkCommand(command, {}, 'spawn');
    validate(SPAWN_OPTIONS, options, 'spawn: options');
    const terminal = take();
    const channel = terminal === undefined ? undefined : this.#slot.virtio(terminal);
    if (terminal === undefined || !channel) {
      throw new QmpilotError('USAGE', `the guest ${this.#guest.name} has no spare virtio console left for a process`, {
        hint: 'close a process or shell that was opened before',
      });
    }
    const process: GuestProcess = new GuestProcess(
      {
        channel,
        terminal,
        run: (text, wait) => this.#run(text, wait),
        shell: () => this.#slot.sampling ?? this.#slot.shell,
        release: () => this.#users.delete(process),
      },
      source,
    );
    this.#users.set(process, terminal);
    try {
      await process.start(options);
      return process;
    } catch (error) {
      // In a guest that does not answer, the attempt to kill the program continues and keeps the console occupied.
      await Promise.race([process.close(), pause(CLEANUP_MS)]);
      throw error;
    }
  }

  /** Forgets a shell, and returns its console; the next shell on it kills what is left there. */
  forget(shell: ConsoleShell): string | undefined {
    const name = this.#users.get(shell);
    this.#users.delete(shell);
    shell.detach();
    return name;
  }

  close(): void {
    for (const user of [...this.#users.keys()]) void user.close();
  }
}
