import { QmpilotError } from '../../errors.js';
import { formatDuration } from '../text/format.js';
import { monotonicMs } from '../time/clock.js';
import { awaitWithin, type WaitOptions } from './deadline.js';
import { withinLimit } from './limit.js';

interface Holder {
  readonly label: string;
  readonly since: number;
}

/** Runs one task at a time, in the order of the calls. An error for a task that waits names the one that runs. */
export class Mutex {
  readonly #name: string;
  readonly #waiting = new Set<() => void>();
  readonly #idle = new Set<() => void>();
  #holder: Holder | undefined;
  readonly #cancelled = new AbortController();
  #closed = false;

  /** @param name what it protects, for errors: `the VM debian-1`, `console hvc0` */
  constructor(name: string) {
    this.#name = name;
  }

  /** Whether no task runs or waits. */
  get isFree(): boolean {
    return this.#holder === undefined && this.#waiting.size === 0;
  }

  /** The task that runs and for how long, in words; undefined when none does. */
  get running(): string | undefined {
    return this.#holder && `${this.#holder.label} (running for ${formatDuration(monotonicMs() - this.#holder.since)})`;
  }

  /**
   * Limits apply to the wait for the turn; once it runs, the task ends by itself.
   * @throws {CLOSED}
   * @throws {TIMEOUT} {ABORTED} before its turn: `task` does not run then
   */
  async run<T>(label: string, options: WaitOptions, task: () => Promise<T>): Promise<T> {
    if (!this.isFree || options.signal?.aborted) await this.#turn(label, options);
    this.#holder = { label, since: monotonicMs() };
    try {
      if (this.#closed) throw new QmpilotError('CLOSED', `${this.#name} was closed`);
      return await task();
    } finally {
      this.#holder = undefined;
      this.#next();
    }
  }

  /**
   * Runs a task like `run`, with the limits also on the task, by the signal that it gets. What it has begun is undone before this
   * rejects.
   * @throws {CLOSED} after `cancel()`
   */
  async runWithin<T>(label: string, options: WaitOptions, task: (wait: WaitOptions) => Promise<T>): Promise<T> {
    const { timeout, patience, signal } = options;
    const cancelled = this.#cancelled.signal;
    const either = signal ? AbortSignal.any([signal, cancelled]) : cancelled;
    try {
      return await withinLimit({ awaited: label, timeout, patience, signal: either, graceMs: Infinity }, (limit) =>
        this.run(label, { signal: limit }, () => task({ signal: limit })),
      );
    } catch (error) {
      if (!cancelled.aborted || signal?.aborted) throw error;
      throw new QmpilotError('CLOSED', `${this.#name} was closed during ${label}`, { cause: error });
    }
  }

  /** Cancels the tasks of `runWithin`: the running one, and those that wait. */
  cancel(): void {
    this.#cancelled.abort();
  }

  /** Resolves once no task runs or waits. */
  idle(options: WaitOptions = {}): Promise<void> {
    if (this.isFree) return Promise.resolve();
    return awaitWithin<void>({ awaited: () => this.#behind(this.#name) }, options, (resolve) => {
      this.#idle.add(resolve);
      return () => void this.#idle.delete(resolve);
    });
  }

  /** Tasks that wait are rejected when their turn comes. */
  close(): void {
    this.#closed = true;
  }

  #turn(label: string, options: WaitOptions): Promise<void> {
    return awaitWithin<void>({ awaited: () => this.#behind(label) }, options, (resolve) => {
      this.#waiting.add(resolve);
      return () => void this.#waiting.delete(resolve);
    });
  }

  #behind(label: string): string {
    return this.running === undefined ? label : `${label}, behind ${this.running}`;
  }

  #next(): void {
    const [first] = this.#waiting;
    if (first) {
      this.#waiting.delete(first);
      // Until the task begins, so that no later call overtakes it.
      this.#holder = { label: this.#name, since: monotonicMs() };
      first();
      return;
    }
    for (const resolve of [...this.#idle]) resolve();
  }
}
