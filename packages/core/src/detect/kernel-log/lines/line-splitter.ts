import type { LiteralMatcher } from './literal-matcher.js';

/** Bytes kept of a line: a pane may draw any amount of text before the kernel's message, which ends the line. */
const KEPT = 4096;
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;
const TAB = 9;
const FIRST_PRINTABLE = 32;

export interface SplitLine {
  /** Latin-1: each character is one byte. */
  readonly raw: string;
  /** One of the matcher's literals is in the line. */
  readonly hit: boolean;
  /** No control characters are in it, so no terminal sequences either. */
  readonly plain: boolean;
}

/**
 * Cuts a byte stream in lines and searches it for literals in the same pass. Lines end at LF or CR: progress bars and
 * animations return the carriage without ever ending a line. Memory is bounded, time is linear, whatever comes.
 */
export class LineSplitter {
  readonly #matcher: LiteralMatcher;
  readonly #carry = Buffer.alloc(KEPT * 4);
  #carried = 0;
  #state: number;
  #hit = false;
  #plain = true;

  constructor(matcher: LiteralMatcher) {
    this.#matcher = matcher;
    this.#state = matcher.start;
  }

  /** Gives to `take` every line that has a literal in it or that `wanted`, asked with its first byte, wants. */
  push(chunk: Uint8Array, wanted: (first: number) => boolean, take: (line: SplitLine) => void): void {
    // A view for all lines: one for each costs as much as the line itself.
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let start = 0;
    for (let end = this.#scan(bytes, start); end < bytes.length; end = this.#scan(bytes, start)) {
      if (end > start || this.#carried > 0) {
        const first = (this.#carried > 0 ? this.#carry[0] : bytes[start]) ?? 0;
        if (this.#hit || wanted(first))
          take({ raw: this.#text(bytes, start, end), hit: this.#hit, plain: this.#plain });
        this.#reset();
      }
      start = end + 1;
    }
    this.#keep(bytes, start);
  }

  /** The line that was begun and not ended, if any. */
  end(): SplitLine | undefined {
    if (this.#carried === 0) return undefined;
    const line = { raw: this.#text(Buffer.alloc(0), 0, 0), hit: this.#hit, plain: this.#plain };
    this.#reset();
    return line;
  }

  #reset(): void {
    this.#carried = 0;
    this.#state = this.#matcher.start;
    this.#hit = false;
    this.#plain = true;
  }

  /** Returns the end of the line that continues at `from`, or the length of `bytes`. The splitter spends nearly all its time here. */
  #scan(bytes: Uint8Array, from: number): number {
    const { columns, next, firstHit } = this.#matcher;
    let state = this.#state;
    let hit = this.#hit;
    let plain = this.#plain;
    let i = from;
    for (; i < bytes.length; i++) {
      const byte = bytes[i] ?? 0;
      if (byte < FIRST_PRINTABLE) {
        if (byte === LINE_FEED || byte === CARRIAGE_RETURN) break;
        if (byte !== TAB) plain = false;
      }
      state = next[state + (columns[byte] ?? 0)] ?? 0;
      if (state >= firstHit) hit = true;
    }
    this.#state = state;
    this.#hit = hit;
    this.#plain = plain;
    return i;
  }

  #text(bytes: Buffer, start: number, end: number): string {
    const own = bytes.toString('latin1', Math.max(start, end - KEPT), end);
    if (this.#carried === 0) return own;
    return (this.#carry.toString('latin1', 0, this.#carried) + own).slice(-KEPT);
  }

  #keep(bytes: Uint8Array, start: number): void {
    const rest = bytes.subarray(Math.max(start, bytes.length - KEPT));
    if (this.#carried + rest.length > this.#carry.length) {
      const kept = Math.min(this.#carried, KEPT);
      this.#carry.copyWithin(0, this.#carried - kept, this.#carried);
      this.#carried = kept;
    }
    this.#carry.set(rest, this.#carried);
    this.#carried += rest.length;
  }
}
