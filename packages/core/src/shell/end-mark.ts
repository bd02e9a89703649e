/** Passes on an output up to a mark that the command's own shell prints behind it; later bytes come from background children. */
export class EndMark {
  readonly #mark: Buffer;
  readonly #pass: (bytes: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);
  #tail: Buffer | undefined;

  constructor(mark: Buffer, pass: (bytes: Buffer) => void) {
    this.#mark = mark;
    this.#pass = pass;
  }

  /** The bytes behind the mark, at most 64; undefined before it has come. */
  get tail(): string | undefined {
    return this.#tail?.toString('latin1');
  }

  push(chunk: Buffer): void {
    if (this.#tail) {
      if (this.#tail.length < 64) this.#tail = Buffer.concat([this.#tail, chunk]).subarray(0, 64);
      return;
    }
    const data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const at = data.indexOf(this.#mark);
    if (at >= 0) {
      this.#pass(data.subarray(0, at));
      this.#tail = Buffer.from(data.subarray(at + this.#mark.length, at + this.#mark.length + 64));
      return;
    }
    const keep = this.#beginning(data);
    this.#pass(data.subarray(0, data.length - keep));
    this.#rest = Buffer.from(data.subarray(data.length - keep));
  }

  /** Passes on what was held back, as no more will come. */
  end(): void {
    if (!this.#tail) this.#pass(this.#rest);
    this.#rest = Buffer.alloc(0);
  }

  /** Returns how many of the last bytes may be the beginning of the mark. */
  #beginning(data: Buffer): number {
    for (let length = Math.min(data.length, this.#mark.length - 1); length > 0; length -= 1) {
      if (data.subarray(data.length - length).equals(this.#mark.subarray(0, length))) return length;
    }
    return 0;
  }
}
