import { QmpilotError } from '../../errors.js';

/** The buffer of an event stream, and the end of the stream. */
export interface EventStreamOptions {
  /** The number of events that are buffered for a slow reader (default 10 000). */
  readonly capacity?: number;
  /**
   * What happens to a reader that is slower: `fail` (default) ends its stream with an error after what was kept,
   * `drop-oldest` throws the oldest away and counts it in `dropped`. QEMU and other listeners are never held up.
   */
  readonly overflow?: 'fail' | 'drop-oldest';
  /** Ends the stream quietly. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Events for `for await`, from the moment of the call on. Ends with the link: quietly after a clean end, else with
 * the link's error, and in both cases after the last event.
 */
export class EventStream<E> implements AsyncIterableIterator<E>, AsyncDisposable {
  readonly #capacity: number;
  readonly #overflow: 'fail' | 'drop-oldest';
  readonly #stop: () => void;
  #kept: E[] = [];
  #head = 0;
  #dropped = 0;
  #waiters: { resolve: (result: IteratorResult<E>) => void; reject: (error: QmpilotError) => void }[] = [];
  #ended = false;
  #failure: QmpilotError | undefined;

  constructor(options: EventStreamOptions, stop: () => void) {
    this.#capacity = options.capacity ?? 10_000;
    if (!(Number.isInteger(this.#capacity) && this.#capacity > 0)) {
      throw new QmpilotError('USAGE', `capacity: ${this.#capacity} is not a number of events`, {
        hint: 'give a positive integer',
      });
    }
    this.#overflow = options.overflow ?? 'fail';
    const { signal } = options;
    const onAbort = () => void this.return();
    this.#stop = () => {
      signal?.removeEventListener('abort', onAbort);
      stop();
    };
    if (signal?.aborted) queueMicrotask(onAbort);
    else signal?.addEventListener('abort', onAbort, { once: true });
  }

  /** Events dropped so far under `drop-oldest`. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Events that wait to be read. */
  get length(): number {
    return this.#kept.length - this.#head;
  }

  /** Adds an event; when the queue is full, what its options say happens. */
  push(event: E): void {
    if (this.#ended) return;
    const waiter = this.#waiters.shift();
    if (waiter) return waiter.resolve({ done: false, value: event });
    if (this.length >= this.#capacity) {
      if (this.#overflow === 'fail') {
        return this.end(
          new QmpilotError('CLOSED', `more than ${this.#capacity} events waited for their reader`, {
            hint: "read faster, narrow the filter, raise 'capacity', or choose overflow: 'drop-oldest'",
          }),
        );
      }
      this.#take();
      this.#dropped++;
    }
    this.#kept.push(event);
  }

  /** Ends the stream behind what waits in it; with an error, which is thrown once. */
  end(failure: QmpilotError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    this.#stop();
    const [first, ...others] = this.#waiters;
    this.#waiters = [];
    if (first) this.#finish(first.resolve, first.reject);
    for (const waiter of others) waiter.resolve({ done: true, value: undefined });
  }

  /** The next event; waits for it. Rejects with the error that ended the stream. */
  next(): Promise<IteratorResult<E>> {
    const event = this.#take();
    if (event) return Promise.resolve({ done: false, value: event.value });
    return new Promise((resolve, reject) => {
      if (this.#ended) this.#finish(resolve, reject);
      else this.#waiters.push({ resolve, reject });
    });
  }

  /** Ends the stream from the reader's side: what `break` in a `for await` calls. */
  return(): Promise<IteratorResult<E>> {
    this.end(undefined);
    this.#failure = undefined;
    this.#kept = [];
    this.#head = 0;
    return Promise.resolve({ done: true, value: undefined });
  }

  /** The stream itself: `for await (const event of stream)`. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Ends the stream: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** An error is told once; after it the iterator is done, as iterators are. */
  #finish(resolve: (result: IteratorResult<E>) => void, reject: (error: QmpilotError) => void): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) reject(failure);
    else resolve({ done: true, value: undefined });
  }

  #take(): { value: E } | undefined {
    if (this.length === 0) return undefined;
    const value = this.#kept[this.#head++];
    // Cut in halves, so that a read costs O(1) on average.
    if (this.#head > 1024 && this.#head * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#head);
      this.#head = 0;
    }
    return value === undefined ? undefined : { value };
  }
}
