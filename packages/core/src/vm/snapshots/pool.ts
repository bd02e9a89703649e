import * as v from 'valibot';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import { awaitWithin } from '../../util/async/deadline.js';
import { WAIT, wholeNumber } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import { holdFamily, type ForkableFamily } from '../family.js';
import { loadFork, type ForkedVm } from './fork.js';
import { RESTORE_OPTIONS, type BeginOptions, type RestoreOptions } from './options.js';

/** Size and lifetime of a pool. */
export interface PoolOptions {
  /** Number of forks that are loaded and paused; default 2. docs/benchmarks.md has the memory that a fork takes. */
  readonly size?: number;
  /** Closes the pool when it fires; VMs that were taken continue. */
  readonly signal?: AbortSignal | undefined;
}

export interface PoolTakeOptions<V> extends BeginOptions {
  /** Called with the VM before its guest runs. */
  readonly onStart?: ((vm: V) => void) | undefined;
}

const POOL_OPTIONS = v.strictObject({
  size: v.optional(wholeNumber(1)),
  signal: WAIT.signal,
} satisfies Record<keyof PoolOptions, v.GenericSchema>);
const TAKE_OPTIONS = v.strictObject({
  ...RESTORE_OPTIONS.entries,
  seed: v.optional(wholeNumber(0)),
  onStart: v.optional(v.function('expected a function')),
} satisfies Record<keyof PoolTakeOptions<never>, v.GenericSchema>);

interface Waiter<V> {
  readonly give: (vm: V) => void;
  readonly fail: (error: unknown) => void;
}

const DEFAULT_SIZE = 2;

/**
 * Holds forks of one snapshot that are loaded and paused, so that taking one costs no more than QMP's `cont`. A fork that
 * was taken, or whose QEMU ended, is replaced in the background. The snapshot exists at least as long as the pool.
 */
export class SnapshotPool<V extends ForkedVm> implements AsyncDisposable {
  readonly size: number;
  readonly #family: ForkableFamily<V>;
  readonly #snapshot: string;
  readonly #loaded: V[] = [];
  readonly #waiters: Waiter<V>[] = [];
  readonly #closed = new AbortController();
  readonly #undo: () => void;
  readonly #release: () => Promise<void>;
  #filling: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  /** @internal Pools are made by `vm.pool` and `snapshot.pool`. */
  constructor(family: ForkableFamily<V>, snapshot: string, options: PoolOptions) {
    validate(POOL_OPTIONS, options, 'pool: options');
    this.size = options.size ?? DEFAULT_SIZE;
    family.snapshots.get(snapshot);
    this.#release = holdFamily(family);
    this.#family = family;
    this.#snapshot = snapshot;
    const { signal } = options;
    const close = () => void this.close();
    signal?.addEventListener('abort', close, { once: true });
    this.#undo = () => signal?.removeEventListener('abort', close);
    if (signal?.aborted) close();
    else this.#fill();
  }

  /** Number of forks that can be taken without waiting. */
  get ready(): number {
    return this.#loaded.length;
  }

  /**
   * Takes a VM that runs from where the snapshot was made; the caller closes it. Waits when no fork is loaded.
   * @throws {SNAPSHOT} {NO_SPACE} when forks cannot be loaded; the next call tries again
   * @throws {CLOSED} after `close()`
   * @throws {TIMEOUT} {ABORTED}
   */
  async take(options: PoolTakeOptions<V> = {}): Promise<V> {
    validate(TAKE_OPTIONS, options, 'pool.take: options');
    for (;;) {
      const vm = await this.#next(options);
      try {
        options.onStart?.(vm);
        await vm.begin(options);
        // Not earlier: the guest that was taken needs the processor for its first answer.
        void vm.reseeded.then(() => this.#fill());
        return vm;
      } catch (error) {
        const died =
          vm.failure !== undefined || isQmpilotError(error, 'QMP_LINK') || isQmpilotError(error, 'QEMU_EXITED');
        await vm.close();
        this.#fill();
        if (!died) throw error;
      }
    }
  }

  /** Ends the forks that were not taken; the others continue. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #next(options: RestoreOptions): Promise<V> {
    if (this.#closing) return Promise.reject(closed());
    const vm = this.#loaded.shift();
    if (vm) return Promise.resolve(vm);
    return awaitWithin<V>({ awaited: `a fork of the snapshot ${this.#snapshot}` }, options, (give, fail) => {
      const waiter = { give, fail };
      this.#waiters.push(waiter);
      this.#fill();
      return () => {
        const at = this.#waiters.indexOf(waiter);
        if (at !== -1) this.#waiters.splice(at, 1);
      };
    });
  }

  #fill(): void {
    if (this.#closing) return;
    this.#filling ??= this.#load().finally(() => {
      this.#filling = undefined;
      if (this.#waiters.length > 0) this.#fill();
    });
  }

  /** Loads one at a time: loading takes a processor, which the forks that were taken need as well. */
  async #load(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted && this.#loaded.length < this.size + this.#waiters.length) {
      try {
        const { vm, drawn } = await loadFork(this.#family, this.#snapshot, { signal });
        await drawn;
        void vm.ended.then(() => this.#replace(vm));
        this.#offer(vm);
      } catch (error) {
        // Without a waiter to tell, the next `take` tries again.
        const waiter = this.#waiters.shift();
        if (!waiter) return;
        waiter.fail(signal.aborted ? closed() : error);
      }
    }
  }

  #offer(vm: V): void {
    const waiter = this.#waiters.shift();
    if (waiter) waiter.give(vm);
    else this.#loaded.push(vm);
  }

  #replace(vm: V): void {
    const at = this.#loaded.indexOf(vm);
    if (at === -1) return;
    this.#loaded.splice(at, 1);
    void vm.close();
    this.#fill();
  }

  async #close(): Promise<void> {
    this.#undo();
    this.#closed.abort(closed());
    for (const waiter of this.#waiters.splice(0)) waiter.fail(closed());
    await this.#filling;
    await Promise.all(this.#loaded.splice(0).map((vm) => vm.close()));
    await this.#release();
  }
}

function closed(): QmpilotError {
  return new QmpilotError('CLOSED', 'the pool was closed');
}
