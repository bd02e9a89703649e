import type { Duplex } from 'node:stream';
import { QmpCommandError, QmpilotError, type ErrorDetails } from '../errors.js';
import { awaitWithin, type WaitOptions } from '../util/deadline.js';
import { Ring } from '../util/ring.js';
import { encodeCommand, toAnswer, type Answer } from './answer.js';
import { CallTable, linkEnded, MAX_IN_BAND, type Call } from './calls.js';
import type { EventStream, EventStreamOptions } from './event-stream.js';
import { describeFilter, EventHub, matcher, type EventFilter, type EventListener, type WaitForOptions } from './events.js';
import { excerpt } from './framing.js';
import { parseGreeting, type Greeting } from './greeting.js';
import { followJob, runJob, type JobOptions } from './jobs.js';
import { Link, type JsonObject } from './link.js';
import {
  toEvent,
  type QmpArguments,
  type QmpCommandName,
  type QmpEvent,
  type QmpEventName,
  type QmpEventOf,
  type QmpJobCommandName,
  type QmpOutOfBandCommandName,
  type QmpReturn,
  type UntypedQmpEvent,
} from './protocol.js';
import type { ExecuteArguments } from './typed.js';

export interface StreamOptions extends WaitOptions {
  /** The largest message taken, in bytes (default 64 MiB); a larger one ends the link. */
  readonly limit?: number | undefined;
}

export interface UntypedOptions extends WaitOptions {
  /** Send it as `exec-oob` (default false). */
  readonly outOfBand?: boolean | undefined;
}

type WithOptionalJobId<A> = Omit<A, 'job-id'> & { readonly 'job-id'?: string };

/** Opens a new stream to the same QEMU. */
export type Redial = (options: WaitOptions) => Promise<Duplex>;

/** How long a command may take when the caller says nothing, in ms. */
export const DEFAULT_COMMAND_TIMEOUT = 30_000;
/** How long QEMU may take for its greeting and the negotiation, in ms. */
export const DEFAULT_HANDSHAKE_TIMEOUT = 10_000;

/** One QMP session: commands, out-of-band commands, events and jobs over one byte stream. */
export class QmpClient implements AsyncDisposable {
  readonly #link: Link;
  readonly #calls: CallTable;
  readonly #hub: EventHub;
  readonly #strays = new Ring<string>(20);
  readonly #redial: Redial | undefined;
  readonly #limit: number | undefined;
  #greeting: Greeting | undefined;
  #onGreeting: ((greeting: Greeting) => void) | undefined;
  #oob = false;
  #nextId = 1;

  private constructor(stream: Duplex, options: StreamOptions, redial: Redial | undefined, hub: EventHub) {
    this.#hub = hub;
    this.#redial = redial;
    this.#limit = options.limit;
    this.#link = new Link(stream, {
      peer: 'QEMU',
      limit: options.limit,
      onMessage: (message, text) => this.#receive(message, text),
      onEnd: (reason) => {
        this.#calls.failAll(reason ?? new QmpilotError('QMP_LINK', 'the link was closed'));
        this.#hub.end(reason);
      },
    });
    this.#calls = new CallTable((text) => this.#link.send(text), MAX_IN_BAND);
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
    return QmpClient.#handshake(new QmpClient(stream, options, redial, new EventHub()), options);
  }

  static async #handshake(client: QmpClient, options: WaitOptions): Promise<QmpClient> {
    try {
      await awaitWithin<void>(
        { awaited: "QEMU's QMP greeting", defaultTimeout: DEFAULT_HANDSHAKE_TIMEOUT, details: () => client.#silence() },
        options,
        (resolve, reject) => {
          void client.#link.closed.then(() => reject(linkEnded('QMP handshake', client.#link.reason ?? neverGreeted())));
          client.#onGreeting = (greeting) => {
            client.#greeting = greeting;
            client.#oob = greeting.capabilities.includes('oob');
            client.#negotiate(options).then(resolve, reject);
          };
        },
      );
    } catch (error) {
      client.#link.end(undefined);
      throw error;
    }
    return client;
  }

  /** What QEMU said about itself. */
  get greeting(): Greeting {
    if (!this.#greeting) throw neverGreeted();
    return this.#greeting;
  }

  /** Whether out-of-band commands were negotiated. */
  get oob(): boolean {
    return this.#oob;
  }

  /** Resolves when the link has ended, cleanly or not. */
  get closed(): Promise<void> {
    return this.#link.closed;
  }

  get isClosed(): boolean {
    return this.#link.ended;
  }

  /** Why the link ended; undefined while it is open and after a clean end (`quit`, `close`). */
  get closedReason(): QmpilotError | undefined {
    return this.#link.reason;
  }

  /** The last messages that belonged to nothing: unknown ids, errors without id, a second greeting. At most 20. */
  get strays(): readonly string[] {
    return this.#strays.last();
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
  async execute<C extends QmpCommandName>(command: C, ...[args, options]: ExecuteArguments<QmpArguments<C>, WaitOptions>): Promise<QmpReturn<C>> {
    return (await this.#run(command, args, options ?? {}, false)) as QmpReturn<C>;
  }

  /** `execute` for commands and arguments that the committed schema does not know: the caller names the type. */
  async executeUntyped<T = unknown>(command: string, args?: object, options: UntypedOptions = {}): Promise<T> {
    if (options.outOfBand === true) this.#requireOob(command);
    return (await this.#run(command, args, options, options.outOfBand ?? false)) as T;
  }

  /**
   * Runs a command out of band (`exec-oob`): QEMU carries it out even while an in-band command blocks it, and it waits for
   * no turn here. Only commands whose schema says `allow-oob` can be run so.
   * @throws {USAGE} when this QEMU or its monitor offers no out-of-band commands
   * @throws as `execute`
   */
  async executeOob<C extends QmpOutOfBandCommandName>(command: C, ...[args, options]: ExecuteArguments<QmpArguments<C>, WaitOptions>): Promise<QmpReturn<C>> {
    this.#requireOob(command);
    return (await this.#run(command, args, options ?? {}, true)) as QmpReturn<C>;
  }

  /**
   * Runs a line of the human monitor and gives its output, with `\n` as line end. HMP reports most errors in that text.
   * @throws as `execute`
   */
  async hmp(line: string, options: WaitOptions = {}): Promise<string> {
    const output = await this.#run('human-monitor-command', { 'command-line': line }, options, false);
    return typeof output === 'string' ? output.replaceAll('\r\n', '\n') : '';
  }

  /** Calls `listener` for every event from now on; gives the function that ends it. */
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
  events<N extends QmpEventName>(filter?: EventFilter<N>, options: EventStreamOptions = {}): EventStream<QmpEventOf<N>> {
    return this.#hub.stream(matcher(filter), options);
  }

  /** `events` for names that the committed schema does not know. */
  eventsUntyped(filter: (event: UntypedQmpEvent) => boolean = () => true, options: EventStreamOptions = {}): EventStream<UntypedQmpEvent> {
    return this.#hub.stream((event): event is UntypedQmpEvent => filter(event), options);
  }

  /**
   * The next event of one of these names, or for which a function holds. Listens from the moment of the call: call it before
   * the command that causes it. Waits for ever unless `timeout` is given.
   * @throws {TIMEOUT}
   * @throws {ABORTED}
   * @throws {QMP_LINK} when the link ends first
   */
  waitFor<N extends QmpEventName>(filter: EventFilter<N>, options: WaitForOptions<QmpEventOf<N>> = {}): Promise<QmpEventOf<N>> {
    return this.#hub.waitFor(matcher(filter), describeFilter(filter), options);
  }

  /**
   * Runs a command that starts a job, and waits for the job's end: completed when it is ready, finalized when it is pending,
   * and always dismissed, so that its id can be used again.
   * @param args `job-id` is made up when it is left out
   * @throws {QMP_JOB} with QEMU's own text when the job fails
   * @throws {QMP_COMMAND} when the command is refused
   * @throws {TIMEOUT} after `timeout` (default none) and {ABORTED}: the job is cancelled then
   * @throws {QMP_LINK}
   */
  runJob<C extends QmpJobCommandName>(command: C, args: WithOptionalJobId<QmpArguments<C>>, options: JobOptions = {}): Promise<void> {
    return runJob(this, command, args, options);
  }

  /** `runJob` for commands and arguments that the committed schema does not know. */
  runJobUntyped(command: string, args: object, options: JobOptions = {}): Promise<void> {
    return runJob(this, command, args, options);
  }

  /**
   * Waits for a job that somebody else started, such as an action of a `transaction`, and dismisses it; otherwise as `runJob`.
   * @throws {QMP_JOB} also when the job is gone and nothing tells how it ended
   */
  followJob(id: string, options: JobOptions = {}): Promise<void> {
    return followJob(this, id, options);
  }

  /**
   * Ends QEMU and waits until its side of the link is closed.
   * @throws {TIMEOUT} after `timeout` (default 10 s)
   */
  async quit(options: WaitOptions = {}): Promise<void> {
    this.#link.expectEnd();
    await awaitWithin<void>({ awaited: 'QEMU to quit', defaultTimeout: 10_000 }, options, (resolve, reject) => {
      void this.closed.then(() => resolve());
      if (this.#link.ended) return;
      // The answer races the end of the socket: only a refusal counts.
      this.#run('quit', undefined, { timeout: 2 ** 31 - 1 }, false).catch((error: unknown) => {
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
    const client = new QmpClient(stream, { limit: this.#limit }, this.#redial, this.#hub.successor());
    return QmpClient.#handshake(client, options);
  }

  /** Closes the link; QEMU goes on. Calls that still wait are rejected with QMP_LINK. */
  async close(): Promise<void> {
    this.#link.end(undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #requireOob(command: string): void {
    if (this.#oob) return;
    throw new QmpilotError('USAGE', `${command}: this QMP monitor offers no out-of-band commands`, {
      hint: 'QEMU offers them on socket monitors only; use execute()',
    });
  }

  async #run(command: string, args: object | undefined, options: WaitOptions, outOfBand: boolean): Promise<unknown> {
    const answer = await this.#ask(command, args, options, outOfBand);
    // Thrown here, after an await, so that the stack shows who called.
    if (!answer.ok) throw new QmpCommandError(command, answer.qmpClass, answer.desc, hintFor(answer.qmpClass));
    return answer.value;
  }

  #ask(command: string, args: object | undefined, options: WaitOptions, outOfBand: boolean): Promise<Answer> {
    if (this.#link.ended) {
      return Promise.reject(linkEnded(command, this.#link.reason ?? new QmpilotError('QMP_LINK', 'the link was closed')));
    }
    const id = this.#nextId++;
    const text = encodeCommand(outOfBand ? 'exec-oob' : 'execute', command, args, id);
    return awaitWithin<Answer>(
      {
        awaited: `QEMU's answer to ${command}`,
        defaultTimeout: DEFAULT_COMMAND_TIMEOUT,
        details: () => this.#unanswered(),
      },
      options,
      (resolve, reject) => {
        const call: Call = { id, command, outOfBand, text, resolve, reject };
        this.#calls.add(call);
        return () => this.#calls.abandon(call);
      },
    );
  }

  async #negotiate(options: WaitOptions): Promise<void> {
    await this.#run('qmp_capabilities', this.#oob ? { enable: ['oob'] } : undefined, { ...options, timeout: 2 ** 31 - 1 }, false);
  }

  #receive(message: JsonObject, text: string): void {
    if ('event' in message) {
      const event = toEvent(message);
      if (event) this.#hub.emit(event);
      else this.#stray(text);
      return;
    }
    if ('return' in message || 'error' in message) {
      if (!this.#calls.settle(message['id'], toAnswer(message, 'QEMU'))) this.#stray(text);
      return;
    }
    const greeting = parseGreeting(message);
    if (greeting && this.#onGreeting) {
      const tell = this.#onGreeting;
      this.#onGreeting = undefined;
      return tell(greeting);
    }
    this.#stray(text);
  }

  #stray(text: string): void {
    this.#strays.push(excerpt(text, 200));
  }

  #unanswered(): ErrorDetails {
    const { inFlight, queued } = this.#calls;
    return {
      hint: 'QEMU is busy or hangs; give a longer timeout, or look at its threads and its standard error',
      evidence: { inFlight, queued, ...(this.strays.length > 0 && { strays: this.strays }) },
    };
  }

  #silence(): ErrorDetails {
    const seen = this.#link.unfinished;
    return {
      hint: this.#greeting
        ? 'QEMU greeted but did not answer qmp_capabilities'
        : 'QEMU serves one client at a time on a QMP socket: another one may hold it; or this is no QMP socket, or QEMU hangs at its start',
      evidence: { greeted: this.#greeting !== undefined, ...(seen && { received: excerpt(seen) }) },
    };
  }
}

function hintFor(qmpClass: string): ErrorDetails {
  if (qmpClass !== 'CommandNotFound') return {};
  return { hint: 'this QEMU does not have the command, or not in this state (query-commands lists them)' };
}

function neverGreeted(): QmpilotError {
  return new QmpilotError('QMP_LINK', 'QEMU never greeted');
}
