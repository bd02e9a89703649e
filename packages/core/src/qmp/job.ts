import type { QmpClient } from './client.js';
import { isObject, type JsonObject } from './link.js';

export interface JobProgress {
  /** QEMU's word: `running`, `ready`, `pending`, ... */
  readonly status: string;
  /** In units of the job's own, often bytes; only the ratio to `total` means something. */
  readonly current: number;
  readonly total: number;
}

export interface JobEnd {
  /** QEMU's own text; undefined after success. */
  readonly error: string | undefined;
}

export interface JobWatch {
  readonly onProgress?: ((progress: JobProgress) => void) | undefined;
  readonly onReady?: (() => void | Promise<void>) | undefined;
}

/** For what other limits bound: QEMU may answer nothing at all while it loads a snapshot. */
export const NO_TIMEOUT = 2 ** 31 - 1;

const PROGRESS_INTERVAL_MS = 100;
/** Events tell each change of state; asking now and then as well costs little and depends on no event. */
const SAFETY_INTERVAL_MS = 1_000;

/** Follows one job from before its command until it has concluded and was dismissed. */
export class Job {
  readonly id: string;
  last: JobProgress | undefined;
  readonly #client: QmpClient;
  readonly #watch: JobWatch;
  readonly #stopListening: () => void;
  #progress: boolean;
  #completing: Promise<void> | undefined;
  #changed = false;
  #wake: (() => void) | undefined;
  #blockJobError: string | undefined;
  #end: Promise<JobEnd> | undefined;

  constructor(client: QmpClient, id: string, watch: JobWatch) {
    this.#client = client;
    this.id = id;
    this.#watch = watch;
    this.#progress = watch.onProgress !== undefined;
    this.#stopListening = client.on(({ event, data }) => {
      if (event === 'JOB_STATUS_CHANGE' && isObject(data) && data['id'] === id) this.#poke();
      // The only trace of the error of a job that QEMU dismisses by itself.
      if (event === 'BLOCK_JOB_COMPLETED' && isObject(data) && data['device'] === id && typeof data['error'] === 'string') {
        this.#blockJobError = data['error'];
      }
    });
    void client.closed.then(() => this.#poke());
  }

  stopProgress(): void {
    this.#progress = false;
  }

  /** To be called once the command was accepted. */
  concluded(): Promise<JobEnd> {
    this.#end ??= this.#follow();
    return this.#end;
  }

  async dismiss(): Promise<void> {
    this.#stopListening();
    await this.#ask('job-dismiss').catch(() => {
      // Gone already: QEMU or somebody else dismissed it.
    });
  }

  forget(): void {
    this.#stopListening();
  }

  async #follow(): Promise<JobEnd> {
    for (;;) {
      this.#changed = false;
      const jobs = await this.#client.executeUntyped('query-jobs', undefined, { timeout: NO_TIMEOUT });
      const info = Array.isArray(jobs) ? jobs.filter(isObject).find((job) => job['id'] === this.id) : undefined;
      if (!info) return { error: this.#blockJobError };
      const status = String(info['status']);
      this.last = { status, current: toNumber(info['current-progress']), total: toNumber(info['total-progress']) };
      if (this.#progress) this.#watch.onProgress?.(this.last);
      if (status === 'concluded') return { error: errorOf(info) };
      if (status === 'ready') {
        this.#completing ??= this.#complete();
        await this.#completing;
      }
      await this.#nextChange();
    }
  }

  async #complete(): Promise<void> {
    await this.#watch.onReady?.();
    await this.#ask('job-complete');
  }

  #ask(command: string): Promise<unknown> {
    return this.#client.executeUntyped(command, { id: this.id }, { timeout: NO_TIMEOUT });
  }

  #poke(): void {
    this.#changed = true;
    this.#wake?.();
  }

  #nextChange(): Promise<void> {
    if (this.#changed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), this.#progress ? PROGRESS_INTERVAL_MS : SAFETY_INTERVAL_MS);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

function toNumber(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

function errorOf(info: JsonObject): string | undefined {
  return typeof info['error'] === 'string' ? info['error'] : undefined;
}
