import type { Duplex } from 'node:stream';
import { QmpCommandError, QmpilotError, type ErrorDetails } from '../../errors.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import { Ring } from '../../util/ring.js';
import { toAnswer, type Answer } from './answer.js';
import { CallTable, encodeCommand, linkEnded, MAX_IN_BAND, type Call } from './calls.js';
import { excerpt } from './framing.js';
import { parseGreeting, type Greeting } from './greeting.js';
import { Link, type JsonObject } from './link.js';
import { toEvent, type UntypedQmpEvent } from './messages.js';
import { DEFAULT_COMMAND_TIMEOUT, DEFAULT_HANDSHAKE_TIMEOUT, NO_TIMEOUT } from './timeouts.js';

/** Takes the events of a session, and its end. */
export interface EventSink {
  emit(event: UntypedQmpEvent): void;
  /** @param reason why the link ended; undefined when it was closed */
  end(reason: QmpilotError | undefined): void;
}

/** The protocol over one byte stream: greeting, negotiation, calls and their answers; events go to a sink. */
export class QmpSession {
  readonly #link: Link;
  readonly #calls: CallTable;
  readonly #events: EventSink;
  readonly #strays = new Ring<string>(20);
  #greeting: Greeting | undefined;
  #onGreeting: ((greeting: Greeting) => void) | undefined;
  #oob = false;
  #nextId = 1;

  constructor(stream: Duplex, limit: number | undefined, events: EventSink) {
    this.#events = events;
    this.#link = new Link(stream, {
      peer: 'QEMU',
      limit,
      onMessage: (message, text) => this.#receive(message, text),
      onEnd: (reason) => {
        this.#calls.failAll(reason ?? closed());
        this.#events.end(reason);
      },
    });
    this.#calls = new CallTable((text) => this.#link.send(text), MAX_IN_BAND);
  }

  /** Waits for the greeting and negotiates. The stream is destroyed when that fails. */
  async handshake(options: WaitOptions): Promise<void> {
    try {
      await awaitWithin<void>(
        { awaited: "QEMU's QMP greeting", defaultTimeout: DEFAULT_HANDSHAKE_TIMEOUT, details: () => this.#silence() },
        options,
        (resolve, reject) => {
          void this.#link.closed.then(() => reject(linkEnded('QMP handshake', this.#link.reason ?? neverGreeted())));
          this.#onGreeting = (greeting) => {
            this.#greeting = greeting;
            this.#oob = greeting.capabilities.includes('oob');
            const enable = this.#oob ? { enable: ['oob'] } : undefined;
            this.run('qmp_capabilities', enable, { ...options, timeout: NO_TIMEOUT }, false).then(
              () => resolve(),
              reject,
            );
          };
        },
      );
    } catch (error) {
      this.#link.end(undefined);
      throw error;
    }
  }

  get link(): Pick<Link, 'closed' | 'ended' | 'reason' | 'end' | 'expectEnd'> {
    return this.#link;
  }

  get greeting(): Greeting {
    if (!this.#greeting) throw neverGreeted();
    return this.#greeting;
  }

  get oob(): boolean {
    return this.#oob;
  }

  get strays(): readonly string[] {
    return this.#strays.last();
  }

  async run(command: string, args: object | undefined, options: WaitOptions, outOfBand: boolean): Promise<unknown> {
    if (outOfBand && !this.#oob) {
      throw new QmpilotError('USAGE', `${command}: this QMP monitor offers no out-of-band commands`, {
        hint: 'QEMU offers them on socket monitors only; use execute()',
      });
    }
    const answer = await this.#ask(command, args, options, outOfBand);
    // Thrown here, after an await, so that the stack shows who called.
    if (!answer.ok) throw new QmpCommandError(command, answer.qmpClass, answer.desc, hintFor(answer.qmpClass));
    return answer.value;
  }

  #ask(command: string, args: object | undefined, options: WaitOptions, outOfBand: boolean): Promise<Answer> {
    if (this.#link.ended) return Promise.reject(linkEnded(command, this.#link.reason ?? closed()));
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

  #receive(message: JsonObject, text: string): void {
    if ('event' in message) {
      const event = toEvent(message);
      if (event) this.#events.emit(event);
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
  return new QmpilotError('QMP_LINK', 'QEMU sent no QMP greeting');
}

function closed(): QmpilotError {
  return new QmpilotError('QMP_LINK', 'the link was closed');
}
