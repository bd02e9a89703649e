import type { Channel } from '../../console/channel.js';
import { isQmpilotError } from '../../errors.js';
import { monotonicMs } from '../../util/clock.js';
import { awaitWithin, type WaitOptions } from '../../util/deadline.js';
import { Mutex } from '../../util/mutex.js';
import { ExecStream, startStream } from '../exec-stream.js';
import { readExitCode } from '../exit-code.js';
import {
  checkCommand,
  describeCommand,
  requireSuccess,
  type ExecOptions,
  type ExecResult,
  type Shell,
} from '../shell.js';
import { runCommand, streamCommand } from './exec.js';
import { agentInstallation } from './guest-helper.js';
import { ConsoleLink } from './link.js';

const PONG_MS = 300;
/** Where an agent is known to be: 8 guests put back at once on two cores take a second to answer. */
const EXPECTED_PONG_MS = 3000;

/**
 * Commands over a tty that nobody else uses, such as a virtio console (/dev/hvc0): answers also while the
 * kernel talks on the serial console and while `poweroff` stalls. The guest's side is a plain `bash` with
 * that tty as standard input, output and error, started again when it ends; `ready` makes an agent of it.
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
   * @param options.hasAgent the guest's side is most likely an agent already, as in a guest that was put back
   */
  constructor(
    channel: Channel,
    options: { readonly name?: string; readonly onClose?: () => void; readonly hasAgent?: boolean } = {},
  ) {
    this.#firstPongMs = options.hasAgent ? EXPECTED_PONG_MS : PONG_MS;
    this.name = options.name ?? `shell on ${channel.name}`;
    this.#link = new ConsoleLink(channel, this.name);
    this.#onClose = options.onClose;
    this.#mutex = new Mutex(this.name);
  }

  /**
   * Waits until the guest's bash is there and makes it the agent; after a restore or a reset it only asks
   * whether the agent still answers, one round trip. Limit: 60 s by default.
   * @throws {SHELL_LOST} when nothing answers in time
   * @throws {ABORTED}
   * @throws {CONSOLE_CLOSED}
   */
  ready(options: WaitOptions = {}): Promise<void> {
    return this.#mutex.run(this.name, { signal: options.signal }, () => this.#sync({ timeout: 60_000, ...options }));
  }

  /** Whether the guest's side answered since the last doubt about it. */
  get answers(): boolean {
    return this.#link.answers;
  }

  async exec(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    checkCommand(command, options);
    return this.#mutex.run(describeCommand(command), { signal: options.signal }, async () => {
      await this.#prepare(options);
      return runCommand(this.#link, this.kind, command, options);
    });
  }

  async expectOk(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    return requireSuccess(await this.exec(command, options));
  }

  /**
   * As the interface says. Other commands wait until it has ended; what it left in the background is killed then. In a guest
   * without perl standard error comes by lines, without NUL bytes.
   */
  stream(command: string, options: ExecOptions = {}): ExecStream {
    checkCommand(command, options);
    return startStream(new ExecStream(command, this.kind), options.signal, (stream) =>
      this.#mutex.run(describeCommand(command), { signal: options.signal }, async () => {
        await this.#prepare(options);
        await streamCommand(this.#link, stream, options);
      }),
    );
  }

  /**
   * @internal Lines of bash for the agent itself, builtins only and bounded in time: no subshell, so half the cost of `exec`. Gives
   * the exit status.
   */
  here(code: string, options: WaitOptions = {}): Promise<number> {
    return this.#mutex.run(this.name, { signal: options.signal }, async () => {
      await this.#prepare(options);
      try {
        const { payload } = await this.#link.request('here', code, options, { last: 'X' });
        return readExitCode(payload.toString(), this.name);
      } catch (error) {
        this.#link.answers = false;
        throw error;
      }
    });
  }

  ping(options: WaitOptions = {}): Promise<void> {
    return this.#mutex.run(this.name, { signal: options.signal }, () => this.#link.ping({ timeout: 5000, ...options }));
  }

  /**
   * Kills what runs and gets the shell to answer again.
   * @throws {SHELL_LOST} when it does not
   */
  reset(options: WaitOptions = {}): Promise<void> {
    return this.#mutex.run(this.name, { signal: options.signal }, async () => {
      this.#link.answers = false;
      await this.#link.channel.write('\x03', options);
      await this.#sync({ timeout: 10_000, ...options });
    });
  }

  /**
   * Ends the guest's bash, after what it runs; where the guest starts it again, a new one comes. Limit: 1 s by default.
   * @throws {TIMEOUT} when it does not answer
   */
  async quit(options: WaitOptions = {}): Promise<void> {
    this.#link.answers = false;
    await this.#link.request('quit', '', { timeout: 1000, ...options }, { last: 'P' });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose?.();
    this.#mutex.close();
    this.#link.close();
  }

  async #prepare(options: WaitOptions): Promise<void> {
    if (this.#link.answers) return;
    await this.#sync({ timeout: this.#link.everAnswered ? 10_000 : 60_000, signal: options.signal });
  }

  /** Asks for the agent, and installs it where there is none. */
  async #sync(options: WaitOptions): Promise<void> {
    const end = new AbortController();
    const began = monotonicMs();
    const signal = options.signal ? AbortSignal.any([options.signal, end.signal]) : end.signal;
    const work = async () => {
      for (let tries = 0; ; tries += 1) {
        // A first try may meet half a line of before; later ones also whatever a person left there.
        const install = tries === 0 ? '' : (tries > 2 ? '\x03\n' : '\n') + agentInstallation();
        const patience = tries === 0 && !this.#link.everAnswered ? this.#firstPongMs : Math.min(500 * 2 ** tries, 4000);
        try {
          await this.#link.ping({ signal, timeout: patience }, install);
          return;
        } catch (error) {
          if (!isQmpilotError(error, 'SHELL_LOST')) throw error;
        }
      }
    };
    try {
      await awaitWithin<void>({ awaited: `an answer from ${this.name}` }, options, (resolve, reject) => {
        work().then(resolve, reject);
        return () => end.abort();
      });
    } catch (cause) {
      throw isQmpilotError(cause, 'TIMEOUT') ? this.#link.lost(monotonicMs() - began, cause) : cause;
    }
  }
}
