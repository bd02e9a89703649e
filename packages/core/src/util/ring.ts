/** The last `capacity` items of a stream, oldest first. */
export class Ring<T> {
  readonly #capacity: number;
  #items: T[] = [];
  #dropped = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  push(item: T): void {
    this.#items.push(item);
    // Cut in halves, so that a push costs O(1) on average.
    if (this.#items.length >= this.#capacity * 2) {
      this.#dropped += this.#items.length - this.#capacity;
      this.#items = this.#items.slice(-this.#capacity);
    }
  }

  /** How many items were pushed in all. */
  get total(): number {
    return this.#dropped + this.#items.length;
  }

  last(count = this.#capacity): T[] {
    const wanted = Math.min(count, this.#capacity);
    return wanted === 0 ? [] : this.#items.slice(-wanted);
  }
}
