import { QmpilotError } from '../errors.js';

/** The largest message taken by default, in bytes: far above `query-qmp-schema`, QEMU's largest usual answer. */
export const DEFAULT_MESSAGE_LIMIT = 64 * 1024 * 1024;

const NEWLINE = 0x0a;

/**
 * Cuts a byte stream into JSON texts. Both QMP and the guest agent end each message with a newline and escape
 * newlines inside of it, so a newline byte is a boundary wherever a chunk was cut, inside of UTF-8 too.
 */
export class LineFramer {
  readonly #limit: number;
  #held: Buffer[] = [];
  #size = 0;

  constructor(limit: number = DEFAULT_MESSAGE_LIMIT) {
    if (!Number.isSafeInteger(limit) || limit <= 0) {
      throw new QmpilotError('USAGE', `limit: ${limit} is not a number of bytes`, { hint: 'give a positive integer' });
    }
    this.#limit = limit;
  }

  /** How many bytes of an unfinished message are held. */
  get pending(): number {
    return this.#size;
  }

  /** The beginning of the unfinished message, for error messages. */
  peek(bytes: number): string {
    return Buffer.concat(this.#held).subarray(0, bytes).toString('utf8');
  }

  reset(): void {
    this.#held = [];
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
    if (start < chunk.length) {
      this.#held.push(start === 0 ? chunk : chunk.subarray(start));
      this.#size += chunk.length - start;
    }
  }

  #take(chunk: Buffer, start: number, end: number): string {
    if (this.#size === 0) return chunk.toString('utf8', start, end);
    this.#held.push(chunk.subarray(start, end));
    const text = Buffer.concat(this.#held).toString('utf8');
    this.reset();
    return text;
  }

  #tooLong(seen: number): QmpilotError {
    this.reset();
    return new QmpilotError('QMP_LINK', `a message is longer than the limit of ${this.#limit} bytes (${seen} seen so far)`, {
      hint: "raise the 'limit' option if an answer of this size is expected",
    });
  }
}

/** Bytes from the other side as a message may show them: one line, printable, short. */
export function excerpt(text: string, length = 80): string {
  const cut = text.length > length ? `${text.slice(0, length)}…` : text;
  return JSON.stringify(cut).replace(/[\u007f-\u009f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
