import { QmpilotError } from '../../errors.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { withinLimit } from '../../util/async/limit.js';
import { Mutex } from '../../util/async/mutex.js';

/** Runs one at a time what replaces a VM's machine, or must not overlap with that. */
export class MachineTurns {
  readonly #name: string;
  readonly #mutex: Mutex;
  readonly #cancelled = new AbortController();

  constructor(name: string) {
    this.#name = name;
    this.#mutex = new Mutex(name);
  }

  /** @throws {CLOSED} when the VM is closed meanwhile */
  async take<T>(doing: string, options: WaitOptions, task: (wait: WaitOptions) => Promise<T>): Promise<T> {
    const { signal, timeout } = options;
    const cancelled = this.#cancelled.signal;
    const either = signal ? AbortSignal.any([signal, cancelled]) : cancelled;
    try {
      // What was begun is undone before this rejects: a machine must not change behind the caller's back.
      return await withinLimit({ awaited: doing, timeout, signal: either, graceMs: Infinity }, (limit) =>
        this.#mutex.run(doing, { signal: limit }, () => task({ signal: limit })),
      );
    } catch (error) {
      if (!cancelled.aborted || signal?.aborted) throw error;
      throw new QmpilotError('CLOSED', `the VM ${this.#name} was closed during ${doing}`, { cause: error });
    }
  }

  /** Cancels the running task and those that wait. */
  cancel(): void {
    this.#cancelled.abort();
  }

  /** Resolves when no task runs any more. */
  async idle(): Promise<void> {
    await this.#mutex.idle();
  }
}
