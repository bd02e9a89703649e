import { QmpilotError } from '../errors.js';
import { awaitWithin } from './deadline.js';

/** One at a time, in the order of the calls. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  /**
   * @throws {CLOSED}
   * @throws {ABORTED} when `signal` fires before the turn came; `task` does not run then
   */
  async take<T>(awaited: string, signal: AbortSignal | undefined, task: () => Promise<T>): Promise<T> {
    const before = this.#last;
    let finish = () => {};
    this.#last = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const mine = this.#last;
    // Chained by hand: who gives up waiting must not let the next one overtake the one before.
    this.#last = Promise.all([before, mine]);
    try {
      await awaitWithin<void>(
        { awaited: `the turn of ${awaited}` },
        { signal },
        (resolve) => void before.then(() => resolve()),
      );
      if (this.#closed) throw new QmpilotError('CLOSED', `${this.#name} was closed`);
      return await task();
    } finally {
      finish();
    }
  }

  close(): void {
    this.#closed = true;
  }
}
