import { QmpilotError } from '../errors.js';
import { monotonicMs } from './clock.js';
import { awaitWithin, type WaitOptions } from './deadline.js';
import { formatDuration } from './format.js';

/** The task that holds a mutex. */
interface Holder {
  readonly label: string;
  readonly since: number;
}

/** Runs tasks one at a time, in the order of the calls. */
export class Mutex {
  readonly #name: string;
  #last: Promise<unknown> = Promise.resolve();
  #holder: Holder | undefined;
  #closed = false;

  /** @param name what it protects, for errors: the name of a VM or console */
  constructor(name: string) {
    this.#name = name;
  }

  /** Label of the task that runs now, and for how long it has been running, in ms. */
  get holder(): { readonly label: string; readonly heldMs: number } | undefined {
    return this.#holder && { label: this.#holder.label, heldMs: monotonicMs() - this.#holder.since };
  }

  /**
   * Runs `task` after all tasks of earlier calls have ended. `wait` limits only the wait for the turn; `task` does not run
   * when it fails. The error of a wait names the task that held the mutex.
   * @throws {CLOSED} {ABORTED} {TIMEOUT}
   */
  async run<T>(label: string, wait: WaitOptions, task: () => Promise<T>): Promise<T> {
    const before = this.#last;
    let finish = () => {};
    const mine = new Promise<void>((resolve) => {
      finish = resolve;
    });
    // A caller that gives up must not let the next one overtake the task before it.
    this.#last = Promise.all([before, mine]);
    try {
      await awaitWithin<void>(
        { awaited: `the turn of ${label}`, details: () => this.#details() },
        wait,
        (resolve) => void before.then(() => resolve()),
      );
      if (this.#closed) throw new QmpilotError('CLOSED', `${this.#name} was closed`);
      this.#holder = { label, since: monotonicMs() };
      try {
        return await task();
      } finally {
        this.#holder = undefined;
      }
    } finally {
      finish();
    }
  }

  /** Lets the running task end; all tasks that wait are rejected with CLOSED. */
  close(): void {
    this.#closed = true;
  }

  #details() {
    const { holder } = this;
    return holder === undefined
      ? {}
      : { evidence: { saw: `${holder.label} has been running for ${formatDuration(holder.heldMs)}` } };
  }
}
