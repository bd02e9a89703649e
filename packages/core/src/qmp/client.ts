import type { Duplex } from 'node:stream';
import { QmpCommandError, QmpilotError } from '../errors.js';
import { awaitWithin, type WaitOptions } from '../util/async/deadline.js';
import type { EventStream, EventStreamOptions } from './events/event-stream.js';
import {
  describeFilter,
  EventHub,
  matcher,
  type EventFilter,
  type EventListener,
  type WaitForOptions,
} from './events/events.js';
import { followJob, runJob, type JobOptions } from './jobs/jobs.js';
import type { Greeting } from './protocol/greeting.js';
import type {
  QmpArguments,
  QmpCommandName,
  QmpEvent,
  QmpEventName,
  QmpEventOf,
  QmpJobCommandName,
  QmpOutOfBandCommandName,
  QmpReturn,
  UntypedQmpEvent,
} from './protocol/messages.js';
import { QmpSession } from './protocol/session.js';
import { NO_TIMEOUT } from './protocol/timeouts.js';
import type { ExecuteArguments } from './typed.js';

export interface StreamOptions extends WaitOptions {
  /** The largest message taken, in bytes (default 64 MiB); a larger one ends the link. */
  readonly limit?: number | undefined;
}

export interface UntypedOptions extends WaitOptions {
  /** Send it as `exec-oob` (default false). */
  readonly outOfBand?: boolean | undefined;
}

/** Arguments of a job command: without an id it gets one. */
export type WithOptionalJobId<A> = Omit<A, 'job-id'> & { readonly 'job-id'?: string };

/** Opens a new stream to the same QEMU. */
export type Redial = (options: WaitOptions) => Promise<Duplex>;

/** One QMP session: commands, out-of-band commands, events and jobs over one byte stream. */
export class QmpClient implements AsyncDisposable {
  readonly #session: QmpSession;
  readonly #hub: EventHub;
  readonly #redial: Redial | undefined;
  readonly #limit: number | undefined;

  private constructor(stream: Duplex, limit: number | undefined, redial: Redial | undefined, hub: EventHub) {
    this.#session = new QmpSession(stream, limit, hub);
    this.#hub = hub;
    this.#redial = redial;
    this.#limit = limit;
  }

  /**
   * Waits for QEMU's greeting on `stream` and negotiates, with out-of-band commands where QEMU offers them.
   * Takes the stream over: it is destroyed when the handshake fails, and with the client.
   * @param redial opens the same address again, for `reconnect`
   * @throws {TIMEOUT} when QEMU does not greet within `timeout` (default 10 s)
   * @throws {QMP_LINK} when the stream ends, or what comes over it is not QMP
   * @throws {ABORTED}
   */
  static async fromStream(stream: Duplex, options: StreamOptions = {}, redial?: Redial): Promise<QmpClient> {
    const client = new QmpClient(stream, options.limit, redial, new EventHub());
    await client.#session.handshake(options);
    return client;
  }

  /** QEMU's greeting: its version and capabilities. */
  get greeting(): Greeting {
    return this.#session.greeting;
  }

  /** Whether out-of-band commands were negotiated. */
  get oob(): boolean {
    return this.#session.oob;
  }

  /** Resolves when the link has ended, cleanly or not. */
  get closed(): Promise<void> {
    return this.#session.link.closed;
  }

  get isClosed(): boolean {
    return this.#session.link.ended;
  }

  /** Why the link ended; undefined while it is open and after a clean end (`quit`, `close`). */
  get closedReason(): QmpilotError | undefined {
    return this.#session.link.reason;
  }

  /** The last messages that belonged to nothing: unknown ids, errors without id, a second greeting. At most 20. */
  get strays(): readonly string[] {
    return this.#session.strays;
  }

  /**
   * Runs a command and gives what QEMU returns; the compiler knows the commands of QEMU 7.2 to 11.1 and their arguments.
   * At most 8 are in flight, more wait here for their turn. After a timeout or abort the answer is dropped; QEMU may still
   * carry the command out.
   * @throws {QMP_COMMAND} when QEMU answers with an error
   * @throws {TIMEOUT} after `timeout` (default 30 s)
   * @throws {ABORTED}
   * @throws {QMP_LINK} when the link ends, or has ended
   */
  async execute<C extends QmpCommandName>(
    command: C,
    ...[args, options]: ExecuteArguments<QmpArguments<C>, WaitOptions>
  ): Promise<QmpReturn<C>> {
    return (await this.#session.run(command, args, options ?? {}, false)) as QmpReturn<C>;
  }

  /** `execute` for commands and arguments that the committed schema does not know: the caller names the type. */
  async executeUntyped<T = unknown>(command: string, args?: object, options: UntypedOptions = {}): Promise<T> {
    return (await this.#session.run(command, args, options, options.outOfBand ?? false)) as T;
  }

  /**
   * Runs a command out of band (`exec-oob`): QEMU carries it out even while an in-band command blocks it, and it waits for
   * no turn here. Only commands whose schema says `allow-oob` can be run so.
   * @throws {USAGE} when this QEMU or its monitor offers no out-of-band commands
   * @throws as `execute`
   */
  async executeOob<C extends QmpOutOfBandCommandName>(
    command: C,
    ...[args, options]: ExecuteArguments<QmpArguments<C>, WaitOptions>
  ): Promise<QmpReturn<C>> {
    return (await this.#session.run(command, args, options ?? {}, true)) as QmpReturn<C>;
  }

  /**
   * Runs a line of the human monitor and gives its output, with `\n` as line end. HMP reports most errors in that text.
   * @throws as `execute`
   */
  async hmp(line: string, options: WaitOptions = {}): Promise<string> {
    const output = await this.#session.run('human-monitor-command', { 'command-line': line }, options, false);
    return typeof output === 'string' ? output.replaceAll('\r\n', '\n') : '';
  }

  /** Calls `listener` for every event from now on; returns a function that ends it. */
  on(listener: EventListener): () => void;
  /** Calls `listener` for every event of this name. */
  on<N extends QmpEventName>(name: N, listener: EventListener<QmpEventOf<N>>): () => void;
  on<N extends QmpEventName>(first: N | EventListener, listener?: EventListener<QmpEventOf<N>>): () => void {
    if (typeof first === 'function') return this.#hub.on((event) => first(event as QmpEvent));
    const matches = matcher(first);
    return this.#hub.on((event) => {
      if (matches(event)) listener?.(event);
    });
  }

  /**
   * Events from now on, for `for await`: all, those of the names given, or those for which a function holds. Each stream has a
   * buffer of its own, which is bounded: see `EventStreamOptions`.
   */
  events(filter?: undefined, options?: EventStreamOptions): EventStream<QmpEvent>;
  events<N extends QmpEventName>(filter: EventFilter<N>, options?: EventStreamOptions): EventStream<QmpEventOf<N>>;
  events<N extends QmpEventName>(
    filter?: EventFilter<N>,
    options: EventStreamOptions = {},
  ): EventStream<QmpEventOf<N>> {
    return this.#hub.stream(matcher(filter), options);
  }

  /** `events` for names that the committed schema does not know. */
  eventsUntyped(
    filter: (event: UntypedQmpEvent) => boolean = () => true,
    options: EventStreamOptions = {},
  ): EventStream<UntypedQmpEvent> {
    return this.#hub.stream((event): event is UntypedQmpEvent => filter(event), options);
  }

  /**
   * The next event of one of these names, or for which a function holds. Listens from the moment of the call: call it before
   * the command that causes it. Without `timeout` it waits indefinitely.
   * @throws {TIMEOUT}
   * @throws {ABORTED}
   * @throws {QMP_LINK} when the link ends first
   */
  waitFor<N extends QmpEventName>(
    filter: EventFilter<N>,
    options: WaitForOptions<QmpEventOf<N>> = {},
  ): Promise<QmpEventOf<N>> {
    return this.#hub.waitFor(matcher(filter), describeFilter(filter), options);
  }

  /**
   * Runs a command that starts a job, and waits for the job's end: completed when it is ready, finalized when it is pending,
   * and always dismissed, so that its id can be used again.
   * @param args `job-id` is generated when it is missing
   * @throws {QMP_JOB} with QEMU's own text when the job fails
   * @throws {QMP_COMMAND} when the command is refused
   * @throws {TIMEOUT} after `timeout` (default none) and {ABORTED}: the job is cancelled then
   * @throws {QMP_LINK}
   */
  runJob<C extends QmpJobCommandName>(
    command: C,
    args: WithOptionalJobId<QmpArguments<C>>,
    options: JobOptions = {},
  ): Promise<void> {
    return runJob(this, command, args, options);
  }

  /** `runJob` for commands and arguments that the committed schema does not know. */
  runJobUntyped(command: string, args: object, options: JobOptions = {}): Promise<void> {
    return runJob(this, command, args, options);
  }

  /**
   * Waits for a job that another program started, such as an action of a `transaction`, and dismisses it; otherwise like `runJob`.
   * @throws {QMP_JOB} also when the job is gone and its result is unknown
   */
  followJob(id: string, options: JobOptions = {}): Promise<void> {
    return followJob(this, id, options);
  }

  /**
   * Ends QEMU and waits until its side of the link is closed.
   * @throws {TIMEOUT} after `timeout` (default 10 s)
   */
  async quit(options: WaitOptions = {}): Promise<void> {
    this.#session.link.expectEnd();
    await awaitWithin<void>({ awaited: 'QEMU to quit', defaultTimeout: 10_000 }, options, (resolve, reject) => {
      void this.closed.then(() => resolve());
      if (this.isClosed) return;
      // The answer races the end of the socket: only a refusal counts.
      this.#session.run('quit', undefined, { timeout: NO_TIMEOUT }, false).catch((error: unknown) => {
        if (error instanceof QmpCommandError) reject(error);
      });
    });
  }

  /**
   * A new session with a QEMU that is still there, on the same address; `on` listeners go over to it. Commands are
   * never repeated: those that waited were rejected. This client is closed.
   * @throws {USAGE} when this client did not come from an address (an inherited stream cannot be opened again)
   * @throws as `connect`
   */
  async reconnect(options: WaitOptions = {}): Promise<QmpClient> {
    if (!this.#redial) {
      throw new QmpilotError('USAGE', 'this QMP link came as a stream: it cannot be opened again', {
        hint: 'connect({ path }) gives a client that can reconnect',
      });
    }
    await this.close();
    const stream = await this.#redial(options);
    const client = new QmpClient(stream, this.#limit, this.#redial, this.#hub.successor());
    await client.#session.handshake(options);
    return client;
  }

  /** Closes the link; QEMU continues. Calls that still wait are rejected with QMP_LINK. */
  async close(): Promise<void> {
    this.#session.link.end(undefined);
  }

  /** Closes the link. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
