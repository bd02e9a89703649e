import type { Duplex } from 'node:stream';
import { QmpCommandError, QmpilotError, type ErrorDetails } from '../errors.js';
import { awaitWithin, type WaitOptions } from '../util/deadline.js';
import { Ring } from '../util/ring.js';
import { encodeCommand, toAnswer, type Answer } from './answer.js';
import { CallTable, linkEnded, MAX_IN_BAND, type Call } from './calls.js';
import type { EventStream, EventStreamOptions } from './event-stream.js';
import { EventHub, type EventListener, type EventOf, type WaitForOptions } from './events.js';
import { excerpt } from './framing.js';
import { parseGreeting, type Greeting } from './greeting.js';
import { runJob, type JobOptions } from './jobs.js';
import { isObject, Link, type JsonObject } from './link.js';
import type { QmpEvent, QmpEventName } from './protocol.js';

export interface StreamOptions extends WaitOptions {
  /** The largest message taken, in bytes (default 64 MiB); a larger one ends the link. */
  readonly limit?: number | undefined;
}

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
      onMessage: (message) => this.#receive(message),
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
   * Runs a command and gives what QEMU returns. At most 8 are in flight, more wait here for their turn.
   * After a timeout or abort the answer is dropped; QEMU may still carry the command out.
   * @throws {QMP_COMMAND} when QEMU answers with an error
   * @throws {TIMEOUT} after `timeout` (default 30 s)
   * @throws {ABORTED}
   * @throws {QMP_LINK} when the link ends, or has ended
   */
  execute(command: string, args?: object, options: WaitOptions = {}): Promise<unknown> {
    return this.#run(command, args, options, false);
  }

  /** `execute` for commands and arguments that the committed schema does not know. */
  async executeUntyped<T = unknown>(command: string, args?: object, options: WaitOptions = {}): Promise<T> {
    // The caller names the type: that is what this door is for.
    return (await this.#run(command, args, options, false)) as T;
  }

  /**
   * Runs a command out of band (`exec-oob`): QEMU carries it out even while an in-band command blocks it.
   * Only commands whose schema says `allow-oob` can be run so.
   * @throws {USAGE} when this QEMU or its monitor offers no out-of-band commands
   * @throws as `execute`
   */
  async executeOob(command: string, args?: object, options: WaitOptions = {}): Promise<unknown> {
    if (!this.#oob) {
      throw new QmpilotError('USAGE', `${command}: this QMP monitor offers no out-of-band commands`, {
        hint: 'QEMU offers them on socket monitors only; use execute()',
      });
    }
    return this.#run(command, args, options, true);
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
  on<N extends QmpEventName>(name: N, listener: EventListener<EventOf<N>>): () => void;
  on<N extends QmpEventName>(first: N | EventListener, listener?: EventListener<EventOf<N>>): () => void {
    if (typeof first === 'function') return this.#hub.on(first);
    return this.#hub.on((event) => {
      if (isNamed(event, [first])) listener?.(event);
    });
  }

  /** Every event from now on, or those of the names given, for `for await`. The buffer is bounded: see `EventStreamOptions`. */
  events<N extends QmpEventName = QmpEventName>(
    filter?: N | readonly N[],
    options: EventStreamOptions = {},
  ): EventStream<EventOf<N>> {
    const names = filter === undefined ? undefined : toList(filter);
    return this.#hub.stream((event): event is EventOf<N> => names === undefined || isNamed(event, names), options);
  }

  /**
   * The next event of one of these names. Listens from the moment of the call: call it before the command that causes it.
   * Waits for ever unless `timeout` is given.
   * @throws {TIMEOUT}
   * @throws {ABORTED}
   * @throws {QMP_LINK} when the link ends first
   */
  waitFor<N extends QmpEventName>(name: N | readonly N[], options: WaitForOptions<EventOf<N>> = {}): Promise<EventOf<N>> {
    const names = toList(name);
    return this.#hub.waitFor((event): event is EventOf<N> => isNamed(event, names), names.join(' or '), options);
  }

  /**
   * Runs a command that starts a job, and waits for the job's end. The job is always dismissed, so its id can be used again.
   * @param args must hold the job's id as `job-id`
   * @throws {QMP_JOB} with QEMU's own text when the job fails
   * @throws {QMP_COMMAND} when the command is refused
   * @throws {TIMEOUT} after `timeout` (default none) and {ABORTED}: the job is cancelled then
   * @throws {QMP_LINK}
   */
  runJob(command: string, args: { readonly 'job-id': string }, options: JobOptions = {}): Promise<void> {
    return runJob(this, command, args, options);
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

  #receive(message: JsonObject): void {
    if ('event' in message) {
      const event = toEvent(message);
      if (event) this.#hub.emit(event);
      else this.#stray(message);
      return;
    }
    if ('return' in message || 'error' in message) {
      if (!this.#calls.settle(message['id'], toAnswer(message, 'QEMU'))) this.#stray(message);
      return;
    }
    const greeting = parseGreeting(message);
    if (greeting && this.#onGreeting) {
      const tell = this.#onGreeting;
      this.#onGreeting = undefined;
      return tell(greeting);
    }
    this.#stray(message);
  }

  #stray(message: JsonObject): void {
    this.#strays.push(excerpt(JSON.stringify(message), 200));
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

function toEvent(message: JsonObject): QmpEvent | undefined {
  const { event, data, timestamp } = message;
  if (typeof event !== 'string') return undefined;
  const { seconds, microseconds } = isObject(timestamp) ? timestamp : {};
  return {
    event,
    data: isObject(data) ? data : {},
    timestamp: {
      seconds: typeof seconds === 'number' ? seconds : -1,
      microseconds: typeof microseconds === 'number' ? microseconds : -1,
    },
  };
}

function isNamed<N extends QmpEventName>(event: QmpEvent, names: readonly N[]): event is EventOf<N> {
  return names.some((name) => name === event.event);
}

function toList<N>(value: N | readonly N[]): readonly N[] {
  return Array.isArray(value) ? value : [value as N];
}

function hintFor(qmpClass: string): ErrorDetails {
  if (qmpClass !== 'CommandNotFound') return {};
  return { hint: 'this QEMU does not have the command, or not in this state (query-commands lists them)' };
}

function neverGreeted(): QmpilotError {
  return new QmpilotError('QMP_LINK', 'QEMU never greeted');
}
