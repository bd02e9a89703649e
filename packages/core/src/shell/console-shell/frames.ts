/**
 * The answers of the helper in the guest: marks between the bytes of a command's output. A mark is
 * `0x01`, a letter, the nonce of the request (16 hex digits), a length in decimal, `:`, and so many bytes.
 * Requests hold no control character, so the echo of a request is never a mark; and no output can hold
 * one by accident, for the nonce is new each time.
 */
export interface Mark {
  readonly letter: string;
  readonly payload: Buffer;
}

const NONCE_LENGTH = 16;
/** `0x01`, letter, nonce, at most 5 digits, `:`. */
const HEAD_LIMIT = 2 + NONCE_LENGTH + 6;

/** Splits what comes from the guest into marks with one nonce and the bytes between them. */
export class FrameReader {
  readonly #nonce: Buffer;
  readonly #onBytes: (bytes: Buffer) => void;
  readonly #onMark: (mark: Mark) => void;
  #rest: Buffer = Buffer.alloc(0);

  constructor(nonce: string, onBytes: (bytes: Buffer) => void, onMark: (mark: Mark) => void) {
    this.#nonce = Buffer.from(nonce, 'latin1');
    this.#onBytes = onBytes;
    this.#onMark = onMark;
  }

  push(chunk: Buffer): void {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    for (let from = 0; ;) {
      const at = data.indexOf(this.#nonce, from);
      if (at < 0) {
        const held = this.#begunMark(data);
        this.#bytes(data.subarray(0, held));
        this.#rest = Buffer.from(data.subarray(held));
        return;
      }
      const head = at >= 2 && data[at - 2] === 0x01 ? readHead(data, at + NONCE_LENGTH) : 'none';
      if (head === 'none') {
        from = at + 1;
        continue;
      }
      const end = head === 'partial' ? data.length + 1 : head.start + head.length;
      if (end > data.length) {
        this.#bytes(data.subarray(0, at - 2));
        this.#rest = Buffer.from(data.subarray(at - 2));
        return;
      }
      this.#bytes(data.subarray(0, at - 2));
      const payload = head === 'partial' ? data.subarray(0, 0) : data.subarray(head.start, end);
      this.#onMark({ letter: String.fromCharCode(data[at - 1] ?? 0), payload });
      data = data.subarray(end);
      from = 0;
    }
  }

  /** Start of the last bytes that may begin a mark; all others are passed on at once. */
  #begunMark(data: Buffer): number {
    for (
      let at = data.indexOf(0x01, Math.max(0, data.length - NONCE_LENGTH - 1));
      at >= 0;
      at = data.indexOf(0x01, at + 1)
    ) {
      const begun = data.subarray(at + 2);
      if (begun.equals(this.#nonce.subarray(0, begun.length))) return at;
    }
    return data.length;
  }

  #bytes(bytes: Buffer): void {
    if (bytes.length > 0) this.#onBytes(bytes);
  }
}

function readHead(data: Buffer, from: number): { start: number; length: number } | 'partial' | 'none' {
  const text = data.toString('latin1', from, from + HEAD_LIMIT - NONCE_LENGTH - 2);
  const match = /^(\d{1,5}):/.exec(text);
  if (match) return { start: from + match[0].length, length: Number(match[1]) };
  return /^\d{0,5}$/.test(text) ? 'partial' : 'none';
}
