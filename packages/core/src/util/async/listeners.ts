/** A set of callbacks that cannot hurt each other: one that throws is dropped, with a process warning. */
export class Listeners<T> {
  readonly #callbacks = new Set<(value: T) => void>();

  /** Returns the function that takes the listener away again. */
  add(callback: (value: T) => void): () => void {
    // A wrapper, so that the same function added twice is two listeners.
    const own = (value: T) => callback(value);
    this.#callbacks.add(own);
    return () => void this.#callbacks.delete(own);
  }

  emit(value: T): void {
    for (const callback of [...this.#callbacks]) {
      try {
        callback(value);
      } catch (error) {
        this.#callbacks.delete(callback);
        process.emitWarning(error instanceof Error ? error : new Error(String(error)));
      }
    }
  }

  get size(): number {
    return this.#callbacks.size;
  }

  clear(): void {
    this.#callbacks.clear();
  }
}
