import type { WaitOptions } from '../../util/async/deadline.js';
import type { EventListener } from '../events/events.js';
import type { QmpArguments, QmpCommandName, QmpEvent, QmpReturn } from '../protocol/messages.js';
import { NO_TIMEOUT } from '../protocol/timeouts.js';
import type { ExecuteArguments } from '../typed.js';

/** The part of a `QmpClient` that following a job needs. */
export interface JobClient {
  readonly closed: Promise<void>;
  readonly isClosed: boolean;
  on(listener: EventListener): () => void;
  execute<C extends QmpCommandName>(
    command: C,
    ...rest: ExecuteArguments<QmpArguments<C>, WaitOptions>
  ): Promise<QmpReturn<C>>;
  executeUntyped(command: string, args?: object, options?: WaitOptions): Promise<unknown>;
}

/** The progress of a QEMU job. */
export interface JobProgress {
  /** QEMU's status: `running`, `ready`, `pending`, ... */
  readonly status: string;
  /** In a unit of the job, often bytes; only the ratio to `total` is meaningful. */
  readonly current: number;
  readonly total: number;
}

export interface JobEnd {
  /** QEMU's error message; undefined after success. */
  readonly error: string | undefined;
}

export interface JobWatch {
  readonly onProgress?: ((progress: JobProgress) => void) | undefined;
  readonly onReady?: (() => void | Promise<void>) | undefined;
  readonly onPending?: (() => void | Promise<void>) | undefined;
}

const PROGRESS_INTERVAL_MS = 100;
/** Events report each change of state; polling as well costs little and does not depend on events. */
const SAFETY_INTERVAL_MS = 1_000;

type JobInfo = QmpReturn<'query-jobs'>[number];

/** Follows a job from before its command until it has concluded and is dismissed. */
export class Job {
  readonly id: string;
  last: JobProgress | undefined;
  readonly #client: JobClient;
  readonly #watch: JobWatch;
  readonly #stopListening: () => void;
  #progress: boolean;
  #helped = new Set<string>();
  #changes = 0;
  readonly #wakers = new Set<() => void>();
  #vanished: JobEnd | undefined;

  constructor(client: JobClient, id: string, watch: JobWatch) {
    this.#client = client;
    this.id = id;
    this.#watch = watch;
    this.#progress = watch.onProgress !== undefined;
    this.#stopListening = client.on((event) => this.#hear(event));
    void client.closed.then(() => this.#poke());
  }

  stopProgress(): void {
    this.#progress = false;
  }

  /** Completes and finalizes the job when it waits for that, until it has concluded. Call it after the command was accepted. */
  concluded(): Promise<JobEnd> {
    return this.#follow(true);
  }

  /** Waits for the end of a job that was cancelled. */
  async gone(): Promise<void> {
    await this.#follow(false);
  }

  async dismiss(): Promise<void> {
    this.#stopListening();
    await this.#client.execute('job-dismiss', { id: this.id }, { timeout: NO_TIMEOUT }).catch(() => {
      // Gone already: QEMU or another client dismissed it.
    });
  }

  forget(): void {
    this.#stopListening();
  }

  async #follow(helping: boolean): Promise<JobEnd> {
    for (;;) {
      const seen = this.#changes;
      const jobs = await this.#client.execute('query-jobs', undefined, { timeout: NO_TIMEOUT });
      const info = jobs.find((job) => job.id === this.id);
      if (!info)
        return (
          this.#vanished ?? {
            error: 'the job is gone and its result is unknown: another client dismissed it, or it never existed',
          }
        );
      if (helping) this.#tell(info);
      if (info.status === 'concluded') return { error: info.error };
      if (helping) await this.#help(info);
      await this.#nextChange(seen);
    }
  }

  #tell(info: JobInfo): void {
    this.last = { status: info.status, current: info['current-progress'], total: info['total-progress'] };
    if (this.#progress) this.#watch.onProgress?.(this.last);
  }

  async #help(info: JobInfo): Promise<void> {
    if (info.status !== 'ready' && info.status !== 'pending') return;
    if (this.#helped.has(info.status)) return;
    this.#helped.add(info.status);
    if (info.status === 'ready') {
      await this.#watch.onReady?.();
      await this.#client.execute('job-complete', { id: this.id }, { timeout: NO_TIMEOUT });
    } else {
      await this.#watch.onPending?.();
      await this.#client.execute('job-finalize', { id: this.id }, { timeout: NO_TIMEOUT });
    }
  }

  #hear(event: QmpEvent): void {
    if (event.event === 'JOB_STATUS_CHANGE' && event.data.id === this.id) this.#poke();
    // The only sign that a job which QEMU dismisses has ended.
    else if (event.event === 'BLOCK_JOB_COMPLETED' && event.data.device === this.id)
      this.#vanished = { error: event.data.error };
    else if (event.event === 'BLOCK_JOB_CANCELLED' && event.data.device === this.id)
      this.#vanished = { error: 'the job was cancelled' };
  }

  #poke(): void {
    this.#changes++;
    for (const wake of [...this.#wakers]) wake();
  }

  #nextChange(seen: number): Promise<void> {
    if (this.#changes !== seen) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#wakers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, this.#progress ? PROGRESS_INTERVAL_MS : SAFETY_INTERVAL_MS);
      this.#wakers.add(wake);
    });
  }
}
