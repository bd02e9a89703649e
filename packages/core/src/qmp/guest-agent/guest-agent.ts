import type { Duplex } from 'node:stream';
import { QmpCommandError, QmpilotError } from '../../errors.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { Mutex } from '../../util/async/mutex.js';
import { monotonicMs } from '../../util/time/clock.js';
import { parseDuration } from '../../util/time/duration.js';
import type { ExecuteArguments } from '../typed.js';
import { UNANSWERED, type GuestArguments, type GuestCommandName, type GuestReturn } from './commands.js';
import { AgentSession } from './session.js';

/** The size limit of a guest agent's messages. */
export interface GuestAgentOptions {
  /** The largest message taken, in bytes (default 64 MiB). */
  readonly limit?: number | undefined;
}

/** Opens the byte stream to the agent; called again whenever the last one has ended. */
export type OpenAgentStream = (options: WaitOptions) => Promise<Duplex> | Duplex;

/** The default time limit of a command, including the sync before it, in ms. */
export const DEFAULT_AGENT_TIMEOUT = 30_000;

/**
 * The guest agent (qemu-ga) behind a byte stream. The agent works off one command at a time, so they wait here for their turn.
 * It may start late, die and come back: before the first command, and after every doubt (a timeout, an abort, the end of a
 * stream, `interrupt`), the next command first syncs with whatever agent is there. A command is never sent twice.
 */
export class GuestAgent implements AsyncDisposable {
  readonly #open: OpenAgentStream;
  readonly #options: GuestAgentOptions;
  #session: AgentSession | undefined;
  readonly #mutex = new Mutex('the guest agent');
  #closed = false;

  /** Nothing is opened before the first command. */
  constructor(open: OpenAgentStream, options: GuestAgentOptions = {}) {
    this.#open = open;
    this.#options = options;
  }

  /** An agent on a stream that cannot be opened again. The stream is destroyed with this object. */
  static fromStream(stream: Duplex, options: GuestAgentOptions = {}): GuestAgent {
    // At once, so that what goes wrong before the first command is not missed.
    const session = new AgentSession(stream, options.limit);
    const agent = new GuestAgent(() => {
      throw session.reason;
    }, options);
    agent.#session = session;
    return agent;
  }

  /**
   * Runs a guest-* command and gives what the agent returns. Commands whose success is not answered (`guest-shutdown`,
   * `guest-suspend-*`) resolve with `{}` when the agent continues, goes away, or says nothing for 2 s.
   * @throws {QMP_COMMAND} when the agent answers with an error
   * @throws {TIMEOUT} after `timeout` (default 30 s): no agent runs, or it is busy
   * @throws {ABORTED}
   * @throws {QMP_LINK} when the stream ends, or `interrupt` was called meanwhile; the command may have been carried out
   * @throws {CLOSED}
   */
  async execute<C extends GuestCommandName>(
    command: C,
    ...[args, options]: ExecuteArguments<GuestArguments<C>, WaitOptions>
  ): Promise<GuestReturn<C>> {
    return (await this.#run(command, args, options ?? {})) as GuestReturn<C>;
  }

  /** `execute` for commands and arguments that the committed schema does not know. */
  async executeUntyped<T = unknown>(command: string, args?: object, options: WaitOptions = {}): Promise<T> {
    // The caller names the type: that is what this door is for.
    return (await this.#run(command, args, options)) as T;
  }

  /**
   * Waits until the agent answers: it may not have started yet.
   * @throws {TIMEOUT} after `timeout` (default 30 s) {ABORTED} {QMP_LINK} {CLOSED}
   */
  async ready(options: WaitOptions = {}): Promise<void> {
    await this.#turn('the guest agent', options, async (rest) => {
      await this.#synced(rest, true);
    });
  }

  /**
   * To be told that the agent went away where the stream cannot show it: QEMU keeps the host's side of a virtio port open and
   * sends `VSERPORT_CHANGE` with `open: false`. What waits for an answer is rejected; what waits for its turn is not.
   */
  interrupt(reason = new QmpilotError('QMP_LINK', 'the guest agent disconnected')): void {
    this.#session?.interrupt(reason);
  }

  /** Detaches from the stream; pending calls are rejected. The agent keeps running. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#session?.close();
  }

  /** Closes it: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run(command: string, args: object | undefined, options: WaitOptions): Promise<unknown> {
    const answer = await this.#turn(command, options, async (rest) => {
      const session = await this.#synced(rest);
      return UNANSWERED.has(command) ? session.tell(command, args, rest()) : session.ask(command, args, rest());
    });
    if (!answer.ok) throw new QmpCommandError(command, answer.qmpClass, answer.desc);
    return answer.value;
  }

  /** One at a time, in the order of the calls, all within one limit. */
  async #turn<T>(doing: string, options: WaitOptions, task: (rest: () => WaitOptions) => Promise<T>): Promise<T> {
    const { signal, timeout, patience = DEFAULT_AGENT_TIMEOUT } = options;
    const limit = parseDuration(timeout ?? patience, 'timeout');
    const begun = monotonicMs();
    const rest = (): WaitOptions => {
      const left = Math.max(0, limit - (monotonicMs() - begun));
      return timeout === undefined ? { signal, patience: left } : { signal, timeout: left };
    };
    return this.#mutex.run(`${doing} at the guest agent`, rest(), () => task(rest));
  }

  async #synced(rest: () => WaitOptions, afresh = false): Promise<AgentSession> {
    if (this.#closed) throw new QmpilotError('CLOSED', 'the guest agent client was closed');
    let session = this.#session;
    if (!session || session.ended) {
      const stream = await this.#open(rest());
      session = new AgentSession(stream, this.#options.limit);
      this.#session = session;
      if (this.#closed) session.close();
    }
    if (afresh || !session.synced) await session.sync(rest());
    return session;
  }
}
