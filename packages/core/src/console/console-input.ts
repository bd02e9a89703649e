import type { QmpilotError } from '../errors.js';
import { pause, type WaitOptions } from '../util/async/deadline.js';
import { withinLimit } from '../util/async/limit.js';
import { Listeners } from '../util/async/listeners.js';
import { Mutex } from '../util/async/mutex.js';
import type { Channel } from './channel.js';
import { checkPress, checkSend, checkType } from './console-schema.js';
import { keyBytes } from './keys.js';
import type { Typed, TypeOptions } from './type-options.js';

/** Input is sent in pieces of this size, so that a program that is busy for a moment loses nothing. */
const PIECE_BYTES = 128;
const PIECE_PAUSE_MS = 2;
/** Pause before a key that is pressed: tmux takes keys less than 1 ms apart for pasted text, and acts on none of them. */
const PRESS_PAUSE_MS = 30;

/** Sends input to a console: paced, and one call after the other. */
export class ConsoleInput {
  readonly #channel: Channel;
  readonly #turns: Mutex;
  readonly #typed = new Listeners<Typed>();
  #closed: QmpilotError | undefined;

  constructor(channel: Channel) {
    this.#channel = channel;
    this.#turns = new Mutex(`console ${channel.name}`);
  }

  async type(text: string, options: TypeOptions): Promise<void> {
    checkType(text, options);
    const { secret = false, ...wait } = options;
    await this.#inTurn(wait, async (limit) => {
      this.#typed.emit(secret ? {} : { text });
      await this.#write(Buffer.from(text.replace(/\r?\n/g, '\r')), limit);
    });
  }

  async press(keys: readonly string[], applicationCursor: boolean): Promise<void> {
    checkPress(keys);
    const all = keys.map((key) => Buffer.from(keyBytes(key, { applicationCursor })));
    if (all.length === 0) return;
    await this.#inTurn({}, async (limit) => {
      this.#typed.emit({ keys });
      for (const bytes of all) {
        await pause(PRESS_PAUSE_MS);
        await this.#write(bytes, limit);
      }
    });
  }

  async send(bytes: Uint8Array, options: WaitOptions): Promise<void> {
    checkSend(bytes, options);
    await this.#inTurn(options, (limit) => this.#write(bytes, limit));
  }

  onTyped(listener: (typed: Typed) => void): () => void {
    return this.#typed.add(listener);
  }

  /** Input that was not written yet is rejected with `error`: others may use the channel now. */
  close(error: QmpilotError): void {
    this.#closed = error;
    this.#typed.clear();
  }

  #inTurn(options: WaitOptions, task: (limit: WaitOptions) => Promise<void>): Promise<void> {
    const awaited = `console ${this.#channel.name} to take input`;
    return withinLimit({ ...options, awaited }, (signal) =>
      this.#turns.run(awaited, { signal }, () => task({ signal })),
    );
  }

  async #write(bytes: Uint8Array, limit: WaitOptions): Promise<void> {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      if (at > 0) await pause(PIECE_PAUSE_MS, limit.signal);
      if (this.#closed) throw this.#closed;
      await this.#channel.write(bytes.subarray(at, at + PIECE_BYTES), limit);
    }
  }
}
