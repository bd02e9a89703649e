import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { PreparedGuest } from '../../guests/guest.js';
import type { Machine } from '../../qemu/process/machine.js';
import { ConsoleShell } from '../../shell/console-shell/console-shell.js';
import type { Command, ExecOptions } from '../../shell/exec-options.js';
import { describeCommand, requireSuccess, type ExecResult, type ShellKind } from '../../shell/exec-result.js';
import { checkCommand } from '../../shell/exec-schema.js';
import { GuestAgentShell } from '../../shell/guest-agent/guest-agent-shell.js';
import { SerialShell } from '../../shell/serial/serial-shell.js';
import type { Shell } from '../../shell/shell.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { withinLimit } from '../../util/async/limit.js';
import type { MachineSlot } from '../machine/machine-slot.js';
import { ConsolePool } from './console-pool.js';

/** The ways into the guest that a vm knows by itself; for SSH see `@qmpilot/core/ssh`. */
export type VmShellKind = Exclude<ShellKind, 'ssh'>;

export interface VmExecOptions extends ExecOptions {
  /** Only this way; by default the first that answers of `console`, `guest-agent`, `serial`. */
  readonly via?: VmShellKind | undefined;
}

export interface OpenShellOptions extends WaitOptions {
  /** By default a bash on a spare virtio console, else a shell of the guest agent. */
  readonly via?: VmShellKind | undefined;
}

/** How long a way into the guest that was not known to work may take to answer, before the next one is tried. */
const TRY_MS = 10_000;
/** For one that was lost before. */
const RETRY_MS = 1000;
/** For a bash to start on a spare console. */
const OPEN_MS = 20_000;

/** Chooses and opens shells of one vm. */
export class VmShells {
  readonly #guest: PreparedGuest;
  readonly #slot: MachineSlot;
  readonly #opened = new Map<Shell, string | undefined>();
  readonly #lost = new WeakMap<Shell, Machine>();
  readonly #pool: ConsolePool | undefined;
  #agent: GuestAgentShell | undefined;
  #serial: SerialShell | undefined;

  constructor(guest: PreparedGuest, slot: MachineSlot) {
    this.#guest = guest;
    this.#slot = slot;
    this.#pool =
      slot.shell &&
      new ConsolePool(
        slot.shell,
        async () => {
          const spare = this.#spare();
          return spare === undefined ? undefined : this.#openOn(spare, { patience: OPEN_MS });
        },
        (shell) => this.#forget(shell),
      );
  }

  /**
   * Runs a command on the first way in that answers, on a console that runs nothing else. A command is sent by one shell only: another
   * is tried when the one before did not even answer.
   */
  exec(command: Command, { via, timeout, patience, signal, ...options }: VmExecOptions = {}): Promise<ExecResult> {
    const label = describeCommand(checkCommand(command, options));
    return this.use(label, { via, timeout, patience, signal }, (shell, limit) =>
      shell.exec(command, { ...options, signal: limit }),
    );
  }

  /** Runs `task` with the first shell that answers; commands of others go to other consoles meanwhile. */
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
      throw this.#lostAll(failures);
    });
  }

  /** The first shell that answers. */
  async best(options: OpenShellOptions = {}): Promise<Shell> {
    const shells = this.#choices(options.via);
    return withinLimit({ ...options, awaited: 'a shell of the guest' }, async (signal) => {
      for (const [index, choice] of shells.entries()) {
        const shell = choice === this.#slot.shell && this.#pool ? this.#pool.next : choice;
        try {
          await this.#answering(shell, { signal });
          return shell;
        } catch (error) {
          if (!isQmpilotError(error, 'SHELL_LOST') || index === shells.length - 1) throw error;
        }
      }
      throw this.#none();
    });
  }

  async open(options: OpenShellOptions = {}): Promise<Shell> {
    const { via } = options;
    if ((via ?? 'console') === 'console') {
      const opened = this.#pool?.takeSpare();
      if (opened) return opened;
      const spare = this.#spare();
      if (spare !== undefined) return this.#openOn(spare, options);
    }
    if (via === 'console') {
      throw new QmpilotError(
        'USAGE',
        `the guest ${this.#guest.name} has no spare virtio console left for another shell`,
        {
          hint: "close a shell that you opened before, or say via: 'guest-agent'",
        },
      );
    }
    const { agent } = this.#slot;
    let shell: Shell | undefined;
    if (via === 'serial') shell = this.#serialShell();
    else if (agent) shell = new GuestAgentShell(agent);
    if (!shell) throw this.#none();
    await shell.ready(options);
    this.#opened.set(shell, undefined);
    return shell;
  }

  close(): void {
    for (const shell of [...this.#opened.keys(), this.#agent, this.#serial]) shell?.close();
  }

  #choices(via: VmShellKind | undefined): Shell[] {
    const { shell, agent } = this.#slot;
    if (agent) this.#agent ??= new GuestAgentShell(agent);
    const serial = this.#guest.login || via === 'serial' ? this.#serialShell() : undefined;
    const all = [shell, this.#agent, serial].filter((one) => one !== undefined);
    const chosen = via === undefined ? all : all.filter(({ kind }) => kind === via);
    if (chosen.length === 0) throw this.#none(via);
    return chosen;
  }

  #serialShell(): SerialShell {
    this.#serial ??= new SerialShell(this.#slot.console, { prompt: this.#guest.login?.prompt });
    return this.#serial;
  }

  async #answering(shell: Shell, options: WaitOptions): Promise<void> {
    // A shell that comes back after a reset is worth waiting for, and its own wait is long enough.
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

  #spare(): string | undefined {
    const taken = new Set(this.#opened.values());
    return this.#guest.spareConsoles?.find((name) => !taken.has(name));
  }

  /** Starts a bash on the console by a shell that answers; what had the console before is ended. */
  async #openOn(name: string, { signal, timeout, patience }: WaitOptions): Promise<ConsoleShell> {
    const options = { signal, timeout, patience };
    const channel = this.#slot.virtio(name);
    if (!channel)
      throw new QmpilotError('USAGE', `${name} is not among the virtio consoles of the guest ${this.#guest.name}`);
    // Its console can be used again once its bash has ended; that of a shell that hangs stays taken.
    const shell: ConsoleShell = new ConsoleShell(channel, {
      onClose: () =>
        void shell
          .quit()
          .then(() => this.#opened.delete(shell))
          .catch(() => {}),
    });
    this.#opened.set(shell, name);
    try {
      const { sampling } = this.#slot;
      const start = startBash(name);
      if (sampling && !(await sampling.ping({ patience: RETRY_MS }).catch(() => 'lost')))
        await sampling.expectOk(start, options);
      else requireSuccess(await this.exec(start, options));
      await shell.ready(options);
      return shell;
    } catch (error) {
      shell.close();
      this.#opened.delete(shell);
      throw error;
    }
  }

  /** The next shell on its console ends what is left there. */
  #forget(shell: ConsoleShell): void {
    this.#opened.delete(shell);
    shell.detach();
  }

  #lostAll(failures: readonly QmpilotError[]): QmpilotError {
    const [first] = failures;
    return new QmpilotError(
      'SHELL_LOST',
      `no shell of the guest ${this.#guest.name} answers: ${failures.map(({ message }) => message).join('; ')}`,
      {
        cause: first,
        evidence: first?.evidence ?? {},
        ...(first?.hint && { hint: first.hint }),
      },
    );
  }

  #none(via?: ShellKind): QmpilotError {
    const which = via === undefined ? 'no shell that commands could run in' : `no shell of the kind ${via}`;
    return new QmpilotError('USAGE', `the guest ${this.#guest.name} has ${which}`, {
      hint: 'start a bash on /dev/hvc0 in the guest and name hvc0 as `shell` in its description, or give it a guest agent or a login; vm.console works without',
    });
  }
}

/** A session leader that opens a terminal gets it as its own. A bash of a VM that was forked, or restored, may be there already. */
function startBash(console: string): string {
  const environment = 'TERM=dumb HOME=/root USER=root LOGNAME=root HISTFILE=/dev/null';
  const end = `for p in /proc/[0-9]*; do [ "$p/fd/0" -ef /dev/${console} ] && kill -9 "\${p#/proc/}"; done 2>/dev/null`;
  return `${end}; cd /root; ${environment} setsid sh -c 'exec bash --norc --noprofile <>/dev/${console} >&0 2>&0' &`;
}
