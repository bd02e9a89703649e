import { EventEmitter } from 'eventemitter3';

/** Callbacks for one event. One that throws is removed, with a process warning, and the others are still called. */
export class Listeners<T> {
  readonly #emitter = new EventEmitter<{ event: [T] }>();

  /** Adds a callback; returns the function that removes it. The same function can be added twice. */
  add(callback: (value: T) => void): () => void {
    const guarded = (value: T) => {
      try {
        callback(value);
      } catch (error) {
        this.#emitter.off('event', guarded);
        process.emitWarning(error instanceof Error ? error : new Error(String(error)));
      }
    };
    this.#emitter.on('event', guarded);
    return () => void this.#emitter.off('event', guarded);
  }

  /** Calls the callbacks that are there now, in the order of their addition. */
  emit(value: T): void {
    this.#emitter.emit('event', value);
  }

  get size(): number {
    return this.#emitter.listenerCount('event');
  }

  clear(): void {
    this.#emitter.removeAllListeners('event');
  }
}
