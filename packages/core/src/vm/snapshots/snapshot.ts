import type { AcceleratorChoice } from '../../qemu/host/accelerator.js';
import { keepFrozen } from '../../snapshot/saved/save.js';
import { infoOf, type SnapshotInfo } from '../../snapshot/store.js';
import type { SnapshotStrategy } from '../../snapshot/strategies/strategy.js';
import { holdFamily, type VmFamily } from '../family.js';
import type { Vm } from '../vm.js';
import { forkAll } from './fork.js';
import { describeGuest } from './guest-record.js';
import { SnapshotPool, type PoolOptions } from './pool.js';
import type { ForkOptions } from './vm-snapshots.js';

/** What a snapshot was taken of, and what its forks run on. */
export interface SnapshotFacts {
  readonly guest: { readonly name: string; readonly key: string };
  readonly accelerator: AcceleratorChoice;
  readonly qemu: { readonly path: string; readonly version: string };
}

/** A moment of a vm that others can start from, as long as one vm of its family, or a pool, is there. */
export class Snapshot implements SnapshotInfo, AsyncDisposable {
  readonly name: string;
  readonly strategy: SnapshotStrategy;
  readonly reason: string;
  readonly savedAt: string;
  readonly pausedMs: number;
  readonly nonce?: string;
  readonly #family: VmFamily;

  readonly #onClose: () => Promise<void>;
  #closing: Promise<void> | undefined;

  /** @internal Snapshots are made by `vm.snapshot`. */
  constructor(family: VmFamily, info: SnapshotInfo, onClose: () => Promise<void> = async () => {}) {
    this.#onClose = onClose;
    this.name = info.name;
    this.strategy = info.strategy;
    this.reason = info.reason;
    this.savedAt = info.savedAt;
    this.pausedMs = info.pausedMs;
    if (info.nonce !== undefined) this.nonce = info.nonce;
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

  /** What it was taken of, and what its forks run on. */
  get facts(): SnapshotFacts {
    const { guest, accelerator, context } = this.#family;
    return {
      guest: { name: guest.name, key: guest.key },
      accelerator,
      qemu: { path: context.binary.path, version: context.binary.version.text },
    };
  }

  /**
   * Writes the snapshot to a folder, for other processes and other days: `openSnapshot(path)`. The folder appears when all of it is
   * on disk; what disks read from their images stays there, and is checked when the snapshot is opened.
   * @throws {SNAPSHOT} for an internal snapshot
   * @throws {USAGE} when there is something at `path`
   * @throws {NO_SPACE} {ABORTED}
   */
  async keep(path: string, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    const { snapshots, guest, accelerator, context } = this.#family;
    const frozen = snapshots.frozen(this.name);
    const release = holdFamily(this.#family);
    try {
      await keepFrozen(path, {
        frozen,
        accelerator,
        binary: context.binary,
        signal: options.signal,
        info: infoOf(this),
        guest: describeGuest(guest),
        screen: snapshots.get(this.name).screen,
      });
    } finally {
      await release();
    }
  }

  /** Lets go of a snapshot that was opened; of one that a vm made nothing is held. */
  close(): Promise<void> {
    this.#closing ??= this.#onClose();
    return this.#closing;
  }

  /** Closes it: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
