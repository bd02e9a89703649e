/** The last `capacity` bytes of a stream, in a fixed piece of memory. */
export class ByteTail {
  readonly #capacity: number;
  #ring: Buffer | undefined;
  #next = 0;
  #full = false;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  push(chunk: Uint8Array): void {
    this.#ring ??= Buffer.alloc(this.#capacity);
    const kept = chunk.subarray(Math.max(0, chunk.length - this.#capacity));
    const first = kept.subarray(0, this.#capacity - this.#next);
    this.#ring.set(first, this.#next);
    this.#ring.set(kept.subarray(first.length), 0);
    if (this.#next + kept.length >= this.#capacity) this.#full = true;
    this.#next = (this.#next + kept.length) % this.#capacity;
  }

  /** A copy, oldest byte first. */
  bytes(): Buffer {
    if (!this.#ring) return Buffer.alloc(0);
    const newest = this.#ring.subarray(0, this.#next);
    return this.#full ? Buffer.concat([this.#ring.subarray(this.#next), newest]) : Buffer.from(newest);
  }
}
