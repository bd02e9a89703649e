import { isQmpilotError, QmpilotError } from '../../errors.js';
import { awaitWithin } from '../../util/deadline.js';
import { holdFamily, type VmFamily } from '../family.js';
import type { Vm } from '../vm.js';
import { loadFork } from './fork.js';
import type { RestoreOptions } from './vm-snapshots.js';

/** How many forks a pool keeps ready, and how long. */
export interface PoolOptions {
  /** How many forks are kept loaded and paused; default 2. What a fork costs in memory is in docs/benchmarks.md. */
  readonly size?: number;
  /** Closes the pool when it fires; vms that were taken go on. */
  readonly signal?: AbortSignal | undefined;
}

export interface TakeOptions extends RestoreOptions {
  /** Called with the vm before its guest runs on: to see all that it does. */
  readonly onStart?: ((vm: Vm) => void) | undefined;
}

interface Waiter {
  readonly give: (vm: Vm) => void;
  readonly fail: (error: unknown) => void;
}

const DEFAULT_SIZE = 2;

/**
 * Forks of one snapshot that are loaded and paused, so that taking one costs no more than QMP's `cont`. What was taken is
 * replaced in the background; a fork that dies while it waits is replaced unseen. The snapshot stays at least as long as
 * the pool.
 */
export class SnapshotPool implements AsyncDisposable {
  readonly size: number;
  readonly #family: VmFamily;
  readonly #snapshot: string;
  readonly #loaded: Vm[] = [];
  readonly #waiters: Waiter[] = [];
  readonly #closed = new AbortController();
  readonly #undo: () => void;
  readonly #release: () => Promise<void>;
  #filling: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  /** @internal Pools are made by `vm.pool` and `snapshot.pool`. */
  constructor(family: VmFamily, snapshot: string, options: PoolOptions) {
    this.size = options.size ?? DEFAULT_SIZE;
    if (!Number.isInteger(this.size) || this.size < 1)
      throw new QmpilotError('USAGE', `size: ${this.size} is no size of a pool`);
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

  /** How many forks wait to be taken at this moment. */
  get ready(): number {
    return this.#loaded.length;
  }

  /**
   * A vm that runs on from where the snapshot was made; it has to be closed by whoever took it. Waits when no fork is loaded.
   * @throws {SNAPSHOT} {NO_SPACE} when forks cannot be loaded; the next call tries again
   * @throws {CLOSED} after `close()`
   * @throws {TIMEOUT} {ABORTED}
   */
  async take(options: TakeOptions = {}): Promise<Vm> {
    for (;;) {
      const vm = await this.#next(options);
      try {
        options.onStart?.(vm);
        await vm.begin(options);
        // Not at once: the guest that was taken needs the processor for its first answer.
        void vm.settled.then(() => this.#fill());
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

  /** Ends the forks that wait; those that were taken go on. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closes it: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #next(options: RestoreOptions): Promise<Vm> {
    if (this.#closing) return Promise.reject(closed());
    const vm = this.#loaded.shift();
    if (vm) return Promise.resolve(vm);
    return awaitWithin<Vm>({ awaited: `a fork of the snapshot ${this.#snapshot}` }, options, (give, fail) => {
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

  /** One at a time: loading takes a processor, which those that were taken need as well. */
  async #load(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted && this.#loaded.length < this.size + this.#waiters.length) {
      try {
        const { vm, drawn } = await loadFork(this.#family, this.#snapshot, { signal });
        await drawn;
        void vm.ended.then(() => this.#replace(vm));
        this.#offer(vm);
      } catch (error) {
        // Whoever waits learns why; nobody waiting, the next `take` tries again.
        const waiter = this.#waiters.shift();
        if (!waiter) return;
        waiter.fail(signal.aborted ? closed() : error);
      }
    }
  }

  #offer(vm: Vm): void {
    const waiter = this.#waiters.shift();
    if (waiter) waiter.give(vm);
    else this.#loaded.push(vm);
  }

  #replace(vm: Vm): void {
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
