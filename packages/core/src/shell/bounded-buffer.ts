const BLOCK_BYTES = 1 << 16;

/** Bytes that come in pieces of any size: small ones are put together, so that a million of them cost no more than they hold. */
export class BoundedBuffer {
  readonly #whole: Buffer[] = [];
  #block: Buffer | undefined;
  #used = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Copies them. */
  push(bytes: Uint8Array): void {
    this.#length += bytes.length;
    for (let rest = bytes; rest.length > 0;) {
      this.#block ??= Buffer.allocUnsafeSlow(BLOCK_BYTES);
      const part = rest.subarray(0, BLOCK_BYTES - this.#used);
      this.#block.set(part, this.#used);
      this.#used += part.length;
      rest = rest.subarray(part.length);
      if (this.#used < BLOCK_BYTES) continue;
      this.#whole.push(this.#block);
      this.#block = undefined;
      this.#used = 0;
    }
  }

  /** All of them in one piece. */
  bytes(): Buffer {
    return Buffer.concat([...this.#whole, ...(this.#block ? [this.#block.subarray(0, this.#used)] : [])]);
  }
}
