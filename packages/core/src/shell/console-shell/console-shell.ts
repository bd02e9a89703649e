import type { Channel } from '../../console/channel.js';
import { isQmpilotError } from '../../errors.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import { withinLimit } from '../../util/async/limit.js';
import { Mutex } from '../../util/async/mutex.js';
import { monotonicMs } from '../../util/time/clock.js';
import type { Command, ExecOptions } from '../exec-options.js';
import { describeCommand, requireSuccess, type ExecResult } from '../exec-result.js';
import { checkCommand } from '../exec-schema.js';
import { ExecStream, startStream } from '../exec-stream.js';
import { readExitCode } from '../exit-code.js';
import type { Shell } from '../shell.js';
import { runCommand, streamCommand } from './exec.js';
import { helperInstallation } from './guest-helper.js';
import { ConsoleLink } from './link.js';
import { watchTerminal } from './terminal-taken.js';

const PONG_MS = 300;
/** Limit for a guest that was reset to start its shell again. */
const REBOOT_MS = 180_000;
/** Tries for which a bash may go on reading the helper, before it gets the helper again. */
const MAX_READING = 15;
/** Where the helper is known to run: 8 guests that are restored at once on two cores take a second to answer. */
const EXPECTED_PONG_MS = 3000;

/**
 * Runs commands over a tty of its own, such as a virtio console (/dev/hvc0): answers also while the kernel prints on the serial
 * console and while `poweroff` stalls. The guest's side is a plain `bash` with that tty as standard input, output and error, started
 * again when it ends; `ready` installs a helper in it.
 */
export class ConsoleShell implements Shell {
  readonly name: string;
  readonly kind = 'console';
  readonly #link: ConsoleLink;
  readonly #mutex: Mutex;
  readonly #onClose: (() => void) | undefined;
  readonly #firstPongMs: number;
  #closed = false;

  /**
   * @param options.onClose called once, by `close`, while the channel can still be used
   * @param options.hasHelper the helper most likely runs already, as in a restored guest
   */
  constructor(
    channel: Channel,
    options: { readonly name?: string; readonly onClose?: () => void; readonly hasHelper?: boolean } = {},
  ) {
    this.#firstPongMs = options.hasHelper ? EXPECTED_PONG_MS : PONG_MS;
    this.name = options.name ?? `shell on ${channel.name}`;
    this.#link = new ConsoleLink(channel, this.name);
    this.#onClose = options.onClose;
    this.#mutex = new Mutex(this.name);
  }

  /**
   * Waits until the guest's bash answers, and installs the helper in it; after a restore only checks, in one round trip, that the
   * helper still answers. Limit: 60 s by default.
   * @throws {SHELL_LOST} when nothing answers in time
   * @throws {ABORTED}
   * @throws {CONSOLE_CLOSED}
   */
  ready(options: WaitOptions = {}): Promise<void> {
    return this.#limited(options, (wait) => this.#sync({ patience: 60_000, ...wait }));
  }

  /** Whether the guest's side answered the last time. */
  get answers(): boolean {
    return this.#link.answers;
  }

  /** Whether the guest was reset and its shell has not come back yet: the next command waits for it. */
  get isAwaited(): boolean {
    return this.#link.wasReset;
  }

  async exec(command: Command, options: ExecOptions = {}): Promise<ExecResult> {
    const source = checkCommand(command, options);
    const label = describeCommand(source);
    return withinLimit({ ...options, awaited: `${label} in the guest` }, (signal) =>
      this.#mutex.run(label, { signal }, async () => {
        await this.#prepare(signal);
        return runCommand(this.#link, this.kind, source, { ...options, signal });
      }),
    );
  }

  async expectOk(command: Command, options: ExecOptions = {}): Promise<ExecResult> {
    return requireSuccess(await this.exec(command, options));
  }

  /**
   * See `Shell.stream`. Other commands wait until it has ended; children that it left in the background are killed then. In a guest
   * without perl, standard error arrives by lines, without NUL bytes.
   */
  stream(command: Command, options: ExecOptions = {}): ExecStream {
    const source = checkCommand(command, options);
    const stream = new ExecStream(source, this.kind);
    return startStream(stream, options, (signal) =>
      this.#mutex.run(describeCommand(source), { signal }, async () => {
        await this.#prepare(signal);
        await streamCommand(this.#link, stream, { ...options, signal });
      }),
    );
  }

  /**
   * @internal Runs lines of bash in the helper itself: builtins only, bounded in time. Without a subshell it costs half of `exec`.
   * Returns the exit status.
   */
  here(code: string, options: WaitOptions = {}): Promise<number> {
    return this.#limited(options, async (wait) => {
      await this.#prepare(wait.signal);
      try {
        const { payload } = await this.#link.request('here', code, wait, {
          last: 'X',
          raw: watchTerminal(this.#link, 'ran a request'),
        });
        return readExitCode(payload.toString(), this.name);
      } catch (error) {
        this.#link.answers = false;
        throw error;
      }
    });
  }

  ping(options: WaitOptions = {}): Promise<void> {
    return this.#limited(options, (wait) => this.#link.ping({ patience: 5000, ...wait }));
  }

  /**
   * Kills what runs and gets the shell to answer again.
   * @throws {SHELL_LOST} when it does not
   */
  reset(options: WaitOptions = {}): Promise<void> {
    return this.#limited(options, async (wait) => {
      this.#link.answers = false;
      await this.#link.channel.write('\x03', wait);
      await this.#sync({ patience: 10_000, ...wait });
    });
  }

  /**
   * Ends the guest's bash after its current command; a guest that starts it again has a new one. Limit: 1 s by default.
   * @throws {TIMEOUT} when it does not answer
   */
  async quit(options: WaitOptions = {}): Promise<void> {
    this.#link.answers = false;
    await this.#link.request('quit', '', { patience: 1000, ...options }, { last: 'P' });
  }

  close(): void {
    if (this.#closed) return;
    this.#onClose?.();
    this.detach();
  }

  /** @internal Closes it without telling the guest. */
  detach(): void {
    this.#closed = true;
    this.#mutex.close();
    this.#link.close();
  }

  /** Whether no command runs or waits here. */
  get isFree(): boolean {
    return this.#mutex.isFree;
  }

  /** @internal Describes the running command; undefined when none runs. */
  get running(): string | undefined {
    return this.#mutex.running;
  }

  /** @internal Resolves when no command runs or waits here. */
  idle(options: WaitOptions = {}): Promise<void> {
    return this.#mutex.idle(options);
  }

  /** Runs a request in turn. @throws {SHELL_LOST} when the guest's side does not answer within the caller's limit */
  async #limited<T>({ timeout, signal, patience }: WaitOptions, task: (wait: WaitOptions) => Promise<T>): Promise<T> {
    let asked: number | undefined;
    try {
      return await withinLimit({ awaited: `an answer from ${this.name}`, timeout, signal }, (limit) =>
        this.#mutex.run(this.name, { signal: limit }, () => {
          asked = monotonicMs();
          return task({ signal: limit, ...(patience !== undefined && { patience }) });
        }),
      );
    } catch (cause) {
      if (asked === undefined || !isQmpilotError(cause, 'TIMEOUT')) throw cause;
      this.#link.answers = false;
      throw this.#link.lost(monotonicMs() - asked, cause);
    }
  }

  async #prepare(signal: AbortSignal | undefined): Promise<void> {
    if (this.#link.answers) return;
    const patience = this.#link.wasReset ? REBOOT_MS : this.#link.everAnswered ? 10_000 : 60_000;
    await this.#sync({ patience, signal });
  }

  /** Checks that the helper answers, and installs it where it does not run. */
  async #sync(options: WaitOptions): Promise<void> {
    const end = new AbortController();
    const began = monotonicMs();
    const signal = options.signal ? AbortSignal.any([options.signal, end.signal]) : end.signal;
    const work = async () => {
      let reading = 0;
      for (let tries = 0; ;) {
        // Half a line may be left from before at the first try, and anything that a person typed at later ones.
        const install = tries === 0 || reading > 0 ? '' : (tries > 2 ? '\x03\n' : '\n') + helperInstallation();
        const patience = tries === 0 && !this.#link.everAnswered ? this.#firstPongMs : Math.min(500 * 2 ** tries, 4000);
        try {
          await this.#link.ping({ signal, patience }, install);
          return;
        } catch (error) {
          if (!isQmpilotError(error, 'SHELL_LOST') || this.#link.isTaken) throw error;
        }
        // A bash that still reads the helper, in a guest with little processor time, would only get more to read.
        const isReading = tries > 0 && this.#link.wasReadingHelper(patience / 2);
        reading = isReading && reading < MAX_READING ? reading + 1 : 0;
        if (reading === 0) tries += 1;
      }
    };
    try {
      await awaitWithin<void>({ awaited: `an answer from ${this.name}` }, options, (resolve, reject) => {
        work().then(resolve, reject);
        return () => end.abort();
      });
    } catch (cause) {
      const isOurs = isQmpilotError(cause, 'TIMEOUT') && !options.signal?.aborted;
      throw isOurs ? this.#link.lost(monotonicMs() - began, cause) : cause;
    }
  }
}
