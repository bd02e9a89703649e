import { QmpilotError } from '../../errors.js';

/** The largest message taken by default, in bytes: far above `query-qmp-schema`, QEMU's largest usual answer. */
export const DEFAULT_MESSAGE_LIMIT = 64 * 1024 * 1024;

const NEWLINE = 0x0a;
const EMPTY = Buffer.alloc(0);
/** The largest buffer that is kept for the next message, in bytes. */
const KEPT = 1024 * 1024;

/**
 * Cuts a byte stream into JSON texts. Both QMP and the guest agent end each message with a newline and escape
 * newlines inside of it, so a newline byte is a boundary wherever a chunk was cut, inside of UTF-8 too.
 */
export class LineFramer {
  readonly #limit: number;
  readonly #restart: number | undefined;
  #held: Buffer = EMPTY;
  #size = 0;
  /** Whether what is held is a buffer of our own, which may be written to, and not a chunk. */
  #owned = false;

  /** @param restart a byte that voids what came before it in its line: the guest agent's 0xFF, which UTF-8 never has */
  constructor(limit: number = DEFAULT_MESSAGE_LIMIT, restart?: number) {
    this.#restart = restart;
    if (!Number.isSafeInteger(limit) || limit <= 0) {
      throw new QmpilotError('USAGE', `limit: ${limit} is not a number of bytes`, { hint: 'give a positive integer' });
    }
    this.#limit = limit;
  }

  /** The number of buffered bytes of an incomplete message. */
  get pending(): number {
    return this.#size;
  }

  /** The beginning of the unfinished message, for error messages. */
  peek(bytes: number): string {
    return this.#held.toString('utf8', 0, Math.min(bytes, this.#size));
  }

  /** Forgets the line that has begun. */
  reset(): void {
    // A buffer of usual size serves the next message too: getting fresh pages costs as much as copying.
    if (!this.#owned || this.#held.length > KEPT) {
      this.#held = EMPTY;
      this.#owned = false;
    }
    this.#size = 0;
  }

  /**
   * Calls `deliver` for each message that `chunk` completes; blank lines are passed over.
   * @throws {QMP_LINK} when a message is longer than the limit; messages before it were delivered
   */
  push(chunk: Buffer, deliver: (text: string) => void): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      const stop = end === -1 ? chunk.length : end;
      if (this.#size + stop - start > this.#limit) throw this.#tooLong(this.#size + stop - start);
      if (end === -1) break;
      const text = this.#take(chunk, start, end);
      start = end + 1;
      if (text.length > 1 || text.trim() !== '') deliver(text);
    }
    if (start < chunk.length) this.#hold(chunk.subarray(start));
  }

  #take(chunk: Buffer, start: number, end: number): string {
    if (this.#size === 0) return this.#text(chunk, start, end);
    this.#hold(chunk.subarray(start, end));
    const text = this.#text(this.#held, 0, this.#size);
    this.reset();
    return text;
  }

  #text(bytes: Buffer, start: number, end: number): string {
    const restart = this.#restart === undefined ? -1 : bytes.lastIndexOf(this.#restart, end - 1);
    return bytes.toString('utf8', restart >= start ? restart + 1 : start, end);
  }

  /** Grows by doubling: a peer that sends byte by byte costs neither a buffer each nor quadratic copying. */
  #hold(part: Buffer): void {
    const size = this.#size + part.length;
    if (this.#size === 0 && !this.#owned) this.#held = part;
    else {
      if (!this.#owned || size > this.#held.length) {
        const grown = Buffer.allocUnsafeSlow(Math.max(2 * size, 4096));
        this.#held.copy(grown, 0, 0, this.#size);
        this.#held = grown;
        this.#owned = true;
      }
      part.copy(this.#held, this.#size);
    }
    this.#size = size;
  }

  #tooLong(seen: number): QmpilotError {
    this.reset();
    return new QmpilotError(
      'QMP_LINK',
      `a message is longer than the limit of ${this.#limit} bytes (${seen} seen so far)`,
      {
        hint: "raise the 'limit' option if an answer of this size is expected",
      },
    );
  }
}

/** Bytes from the other side as a message may show them: one line, printable, short. */
export function excerpt(text: string, length = 80): string {
  const cut = text.length > length ? `${text.slice(0, length)}…` : text;
  return JSON.stringify(cut).replace(/[\u007f-\u009f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
