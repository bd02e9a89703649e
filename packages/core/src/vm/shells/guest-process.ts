import * as v from 'valibot';
import type { Channel } from '../../console/channel.js';
import { Console } from '../../console/console.js';
import { QmpilotError } from '../../errors.js';
import { commandText } from '../../shell/command-text.js';
import { type ExecOptions } from '../../shell/exec-options.js';
import { describeCommand, type ExecResult } from '../../shell/exec-result.js';
import { EXEC_PLACE } from '../../shell/exec-schema.js';
import { type Shell } from '../../shell/shell.js';
import { awaitWithin } from '../../util/async/deadline.js';
import { deferred } from '../../util/async/deferred.js';
import { onAbort } from '../../util/async/on-abort.js';
import { shQuote } from '../../util/text/sh-quote.js';
import { WAIT, wholeNumber } from '../../util/validation/schemas.js';
import { sizeByShell } from '../machine/console-size.js';
import { ACKNOWLEDGE, ProcessMarks } from './process-marks.js';
import { killOnConsole } from './start-bash.js';

/** How `vm.spawn` runs a program. */
export interface SpawnOptions extends Pick<ExecOptions, 'env' | 'cwd' | 'user'> {
  /** Size of the terminal; default 80 and 24. */
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  /** Kills the program when it fires. */
  readonly signal?: AbortSignal | undefined;
}

export const SPAWN_OPTIONS = v.strictObject({
  ...EXEC_PLACE,
  columns: v.optional(wholeNumber(2, 1000)),
  rows: v.optional(wholeNumber(1, 1000)),
  signal: WAIT.signal,
} satisfies Record<keyof SpawnOptions, v.GenericSchema>);

/** Limit for the program to begin on a busy guest. */
const START_TIMEOUT = '30s';
/** Limit for a request to end the program. */
const KILL_TIMEOUT = '20s';
const ENVIRONMENT = 'HOME=/root USER=root LOGNAME=root TERM=xterm';

/** What a process needs of its VM. */
export interface ProcessHost {
  readonly channel: Channel;
  /** Name of the virtio console in the guest: `hvc2`. */
  readonly terminal: string;
  /** Runs a short command in the guest, on another console. */
  readonly run: (command: string, options: ExecOptions) => Promise<ExecResult>;
  /** A shell for `stty`. */
  readonly shell: () => Shell | undefined;
  /** Called by `close`, when the console is free again. */
  readonly release: () => void;
}

/** A program in the guest on a terminal of its own: type into its `console`, and expect what it prints. */
export class GuestProcess implements AsyncDisposable {
  readonly command: string;
  /** The program's terminal. */
  readonly console: Console;
  readonly #host: ProcessHost;
  readonly #marks = new ProcessMarks();
  readonly #begun = deferred<void>();
  readonly #exited = deferred<number>();
  readonly #undo: (() => void)[];
  #acknowledged = false;
  #isOver = false;
  #closing: Promise<void> | undefined;

  /** @internal Use `vm.spawn`. */
  constructor(host: ProcessHost, command: string) {
    this.command = command;
    this.#host = host;
    this.#exited.promise.catch(() => {});
    this.#begun.promise.catch(() => {});
    const { channel } = host;
    this.#undo = [
      channel.setFilter((chunk) => this.#take(chunk)),
      channel.onEnd((error) => this.#fail(error)),
      channel.onReset(() => this.#fail(this.#lost('the guest was reset'))),
      channel.onAttach(() => this.#fail(this.#lost('the VM was restored'))),
    ];
    this.console = new Console(channel, sizeByShell(host.shell, host.terminal));
  }

  /**
   * Resolves with the exit code (128 plus the number of the signal that killed it), when all of its output is on the console.
   * Rejects with SHELL_LOST when the guest is reset or restored, and with CONSOLE_CLOSED when QEMU ends.
   */
  get exited(): Promise<number> {
    return this.#exited.promise;
  }

  /** @internal Starts the program; resolves when it runs. */
  async start({ columns = 80, rows = 24, signal, ...place }: SpawnOptions): Promise<void> {
    this.console.screen.resize(columns, rows);
    const text = commandText(this.command, place, shQuote, true);
    // The session leader that opens a terminal gets it as its own. Signals of the terminal go to the program, and leave it alive.
    const wrapper = [
      `exec <>/dev/${this.#host.terminal} >&0 2>&0`,
      `stty sane columns ${columns} rows ${rows}`,
      'trap : INT QUIT HUP',
      this.#marks.printBegin,
      // What a shell starts in the background ignores these signals, and a shell cannot undo that.
      'run=$(env --default-signal=INT,QUIT echo env --default-signal=INT,QUIT 2>/dev/null)',
      `$run bash -c ${shQuote(text)}`,
      'code=$?',
      this.#marks.printEnd,
      `export code; exec bash -c ${shQuote(this.#marks.repeatEnd)}`,
    ].join('; ');
    const source = `${killOnConsole(this.#host.terminal)}; cd /root; ${ENVIRONMENT} setsid sh -c ${shQuote(wrapper)} </dev/null >/dev/null 2>&1 &`;
    await this.#host.run(source, { signal, patience: START_TIMEOUT });
    await awaitWithin<void>(
      { awaited: `${describeCommand(this.command)} to begin`, defaultTimeout: START_TIMEOUT },
      { signal },
      (resolve, reject) => void this.#begun.promise.then(resolve, reject),
    );
    this.#undo.push(onAbort(signal, () => void this.kill().catch((error: unknown) => this.#fail(error))));
  }

  /** Kills the program and all others on its terminal. Throws what `vm.exec` throws. */
  async kill(): Promise<void> {
    if (this.#isOver) return;
    await this.#host.run(killOnConsole(this.#host.terminal), { patience: KILL_TIMEOUT });
    // The wrapper, which would have told, is among the killed.
    this.#end(128 + 9);
  }

  /** Kills the program if it runs, and gives its console back. */
  close(): Promise<void> {
    this.#closing ??= this.kill()
      .catch(() => {})
      .then(() => {
        for (const undo of this.#undo) undo();
        this.#fail(new QmpilotError('CLOSED', `the process ${describeCommand(this.command)} was closed`));
        this.console.close();
        this.#host.release();
      });
    return this.#closing;
  }

  /** Calls `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #take(chunk: Buffer): Buffer {
    const output = this.#marks.push(chunk);
    if (this.#marks.hasBegun) this.#begun.resolve();
    const { exitCode } = this.#marks;
    if (exitCode !== undefined && !this.#acknowledged) {
      this.#acknowledged = true;
      this.#host.channel.write(ACKNOWLEDGE).catch(() => {});
      // After this piece of its output has reached the console.
      setImmediate(() => this.#end(exitCode));
    }
    return output;
  }

  #end(exitCode: number): void {
    this.#isOver = true;
    this.#exited.resolve(exitCode);
  }

  #fail(error: unknown): void {
    this.#isOver = true;
    this.#begun.reject(error);
    this.#exited.reject(error);
  }

  #lost(why: string): QmpilotError {
    return new QmpilotError('SHELL_LOST', `${why} while ${describeCommand(this.command)} ran`);
  }
}
