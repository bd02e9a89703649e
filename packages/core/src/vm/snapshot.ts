import type { SnapshotInfo, SnapshotStrategy } from '../snapshot/store.js';
import type { VmFamily } from './family.js';
import { forkAll } from './fork.js';
import { SnapshotPool, type PoolOptions } from './pool.js';
import type { ForkOptions } from './vm-snapshots.js';
import type { Vm } from './vm.js';

/** A moment of a vm that others can start from, as long as one vm of its family, or a pool, is there. */
export class Snapshot implements SnapshotInfo {
  readonly name: string;
  readonly strategy: SnapshotStrategy;
  readonly savedAt: string;
  readonly pausedMs: number;
  readonly #family: VmFamily;

  /** @internal Snapshots are made by `vm.snapshot`. */
  constructor(family: VmFamily, info: SnapshotInfo) {
    this.name = info.name;
    this.strategy = info.strategy;
    this.savedAt = info.savedAt;
    this.pausedMs = info.pausedMs;
    this.#family = family;
  }

  /** The same as `vm.fork(name, options)`. */
  fork(options: ForkOptions = {}): Promise<Vm[]> {
    return forkAll(this.#family, this.name, options);
  }

  /** Keeps forks loaded and paused, so that taking one costs next to nothing. */
  pool(options: PoolOptions = {}): SnapshotPool {
    return new SnapshotPool(this.#family, this.name, options);
  }
}
