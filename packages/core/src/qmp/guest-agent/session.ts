import { randomInt } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { QmpCommandError, QmpilotError } from '../../errors.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import { toAnswer, type Answer } from '../protocol/answer.js';
import { encodeCommand } from '../protocol/calls.js';
import { linkEnded } from '../protocol/calls.js';
import { Link, type JsonObject } from '../protocol/link.js';

/** Ends a message that the agent, or a host before us, left unfinished. UTF-8 never has it. */
const DELIMITER = 0xff;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 4_000;
const ANSWER_GRACE_MS = 2_000;

const UNREACHABLE_HINT =
  'is qemu-guest-agent installed and running in the guest, on the port org.qemu.guest_agent.0? It also answers nobody while it runs a slow command';

/** The guest agent's protocol over one byte stream. It has no greeting: who comes says `guest-sync-delimited` first. */
export class AgentSession {
  readonly #link: Link;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #enders = new Set<(reason: QmpilotError) => void>();
  // Random, so that late answers to other clients match none of our ids.
  #nextId = randomInt(2 ** 30);
  #synced = false;

  constructor(stream: Duplex, limit: number | undefined) {
    this.#link = new Link(stream, {
      peer: 'the guest agent',
      limit,
      restart: DELIMITER,
      onMessage: (message) => this.#receive(message),
      // Parts of messages of an agent that was killed, or answers to an earlier client.
      onGarbage: () => {},
      onEnd: (reason) => this.interrupt(reason ?? new QmpilotError('QMP_LINK', 'the link was closed')),
    });
  }

  get ended(): boolean {
    return this.#link.ended;
  }

  /** Whether the agent answered since the last doubt about it. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Why the link ended, if it has. */
  get reason(): QmpilotError {
    return this.#link.reason ?? new QmpilotError('QMP_LINK', 'the link to the guest agent was closed');
  }

  /** Rejects all pending commands, as there may have been no agent to receive them; the next command syncs first. */
  interrupt(reason: QmpilotError): void {
    this.#synced = false;
    for (const ender of [...this.#enders]) ender(reason);
  }

  close(): void {
    this.#link.end(undefined);
  }

  /** Sends `guest-sync-delimited` until it is answered: messages sent while no agent runs may be lost. */
  sync(options: WaitOptions): Promise<void> {
    return awaitWithin<void>(
      { awaited: 'the guest agent to answer guest-sync-delimited', details: () => ({ hint: UNREACHABLE_HINT }) },
      options,
      (resolve, reject) => {
        const ids = new Set<number>();
        let timer: NodeJS.Timeout | undefined;
        const forget = this.#onEnd(reject, 'guest-sync-delimited');
        const say = (pause: number) => {
          const id = this.#sendSync((answer) => {
            if (!answer.ok) return reject(new QmpCommandError('guest-sync-delimited', answer.qmpClass, answer.desc));
            this.#synced = true;
            resolve();
          });
          ids.add(id);
          timer = setTimeout(() => say(Math.min(pause * 2, LAST_RETRY_MS)), pause);
        };
        if (!this.ended) say(FIRST_RETRY_MS);
        return () => {
          forget();
          clearTimeout(timer);
          for (const id of ids) this.#waiting.delete(id);
        };
      },
    );
  }

  ask(command: string, args: object | undefined, options: WaitOptions): Promise<Answer> {
    const id = this.#nextId++;
    const text = encodeCommand('execute', command, args, id);
    let answered = false;
    return awaitWithin<Answer>(
      { awaited: `the guest agent's answer to ${command}`, details: () => ({ hint: UNREACHABLE_HINT }) },
      options,
      (resolve, reject) => {
        const forget = this.#onEnd(reject, command);
        this.#waiting.set(id, (answer) => {
          answered = true;
          resolve(answer);
        });
        if (!this.ended) this.#link.send(text);
        return () => {
          forget();
          this.#waiting.delete(id);
          // Given up: the agent may be gone, or at it still.
          if (!answered) this.#synced = false;
        };
      },
    );
  }

  /** Runs a command that is answered only when it fails: silence, the end of the link, or the agent's next message means success. */
  tell(command: string, args: object | undefined, options: WaitOptions): Promise<Answer> {
    const id = this.#nextId++;
    const text = encodeCommand('execute', command, args, id);
    const done: Answer = { ok: true, value: {} };
    return awaitWithin<Answer>({ awaited: `the guest agent to take ${command}` }, options, (resolve, reject) => {
      if (this.ended) return reject(linkEnded(command, this.reason));
      const forget = this.#onEnd(() => resolve(done), command);
      this.#waiting.set(id, resolve);
      this.#link.send(text);
      const after = this.#sendSync(() => resolve(done));
      const timer = setTimeout(() => {
        this.#synced = false;
        resolve(done);
      }, ANSWER_GRACE_MS);
      return () => {
        forget();
        clearTimeout(timer);
        this.#waiting.delete(id);
        this.#waiting.delete(after);
      };
    });
  }

  #sendSync(take: (answer: Answer) => void): number {
    const id = this.#nextId++;
    this.#waiting.set(id, (answer) => {
      if (!answer.ok || answer.value === id) take(answer);
    });
    const text = encodeCommand('execute', 'guest-sync-delimited', { id }, id);
    this.#link.send(Buffer.concat([Buffer.from([DELIMITER]), Buffer.from(text)]));
    return id;
  }

  #onEnd(reject: (error: QmpilotError) => void, doing: string): () => void {
    const ender = (reason: QmpilotError) => reject(linkEnded(doing, reason));
    this.#enders.add(ender);
    if (this.ended) ender(this.reason);
    return () => void this.#enders.delete(ender);
  }

  #receive(message: JsonObject): void {
    if ('QMP' in message) {
      return this.#link.end(
        new QmpilotError('QMP_LINK', 'this is a QMP socket, not a guest agent', {
          hint: 'connect() speaks QMP; the agent has a chardev of its own',
        }),
      );
    }
    const { id } = message;
    // Answers without one of our ids are old ones, or errors about what another client left unfinished.
    if (typeof id !== 'number' || !('return' in message || 'error' in message)) return;
    const take = this.#waiting.get(id);
    this.#waiting.delete(id);
    take?.(toAnswer(message, 'the guest agent'));
  }
}
