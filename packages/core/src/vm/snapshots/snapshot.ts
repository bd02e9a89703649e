import { QmpilotError } from '../../errors.js';
import type { AcceleratorChoice } from '../../qemu/accelerator.js';
import { saveToFolder } from '../../snapshot/saved/save.js';
import { infoOf, type SnapshotInfo } from '../../snapshot/store.js';
import { bytesOf } from '../../snapshot/strategies/fork-base.js';
import type { SnapshotStrategy } from '../../snapshot/strategies/strategy.js';
import { holdFamily, type ForkableFamily } from '../family.js';
import { fork, type ForkedVm } from './fork.js';
import { describeGuest } from './guest-record.js';
import type { ForkManyOptions, ForkOptions, RestoreOptions } from './options.js';
import { SnapshotPool, type PoolOptions } from './pool.js';

/** The machine of a snapshot, which its forks run on. */
export interface SnapshotFacts {
  readonly guest: { readonly name: string; readonly key: string };
  readonly accelerator: AcceleratorChoice;
  readonly qemu: { readonly path: string; readonly version: string };
}

/** The origin of a snapshot. */
export interface SnapshotOrigin {
  /** Restores the VM that it was made of; absent when it was opened from a directory. */
  readonly restore?: (options: RestoreOptions) => Promise<void>;
  /** Releases what an opened snapshot holds. */
  readonly close?: () => Promise<void>;
}

/** A moment of a VM that others can start from, as long as one VM of its family, or a pool, is open. */
export class Snapshot<V extends ForkedVm> implements SnapshotInfo, AsyncDisposable {
  readonly name: string;
  readonly strategy: SnapshotStrategy;
  readonly reason: string;
  readonly savedAt: string;
  /** How long the guest was paused while it was saved, in ms: 20 to 100 ms, and seconds on a busy host or for `file` and `internal`. */
  readonly pausedMs: number;
  readonly nonce?: string;
  readonly #family: ForkableFamily<V>;
  readonly #origin: SnapshotOrigin;
  #closing: Promise<void> | undefined;

  /** @internal Snapshots are made by `vm.snapshot`. */
  constructor(family: ForkableFamily<V>, info: SnapshotInfo, origin: SnapshotOrigin) {
    this.#origin = origin;
    this.name = info.name;
    this.strategy = info.strategy;
    this.reason = info.reason;
    this.savedAt = info.savedAt;
    this.pausedMs = info.pausedMs;
    if (info.nonce !== undefined) this.nonce = info.nonce;
    this.#family = family;
  }

  /** Makes VMs that start here: the same as `vm.fork(name, options)`. */
  fork(options?: ForkOptions): Promise<V>;
  fork(options: ForkManyOptions): Promise<V[]>;
  fork(options: ForkOptions | ForkManyOptions = {}): Promise<V | V[]> {
    return fork(this.#family, this.name, options);
  }

  /**
   * Restores the VM that the snapshot was made of: the same as `vm.restore(name, options)`.
   * @throws {USAGE} for a snapshot that `openSnapshot` opened: it has no VM; fork it
   * @throws what `vm.restore` throws
   */
  async restore(options: RestoreOptions = {}): Promise<void> {
    if (this.#origin.restore) return this.#origin.restore(options);
    throw new QmpilotError('USAGE', `the saved snapshot ${this.name} has no VM in this process to restore`, {
      hint: 'start a VM from it: snapshot.fork()',
    });
  }

  /** Keeps forks loaded and paused, so that taking one costs next to nothing. */
  pool(options: PoolOptions = {}): SnapshotPool<V> {
    return new SnapshotPool(this.#family, this.name, options);
  }

  /** The machine that it was taken of, which its forks run on. */
  get facts(): SnapshotFacts {
    const { guest, accelerator, context } = this.#family;
    return {
      guest: { name: guest.name, key: guest.key },
      accelerator,
      qemu: { path: context.binary.path, version: context.binary.version.text },
    };
  }

  /**
   * Saves the snapshot to a folder, for other processes: `openSnapshot(path)`. The folder appears when all of it is
   * on disk; what disks read from their images stays there, and is checked when the snapshot is opened.
   * @throws {SNAPSHOT} for an internal snapshot
   * @throws {ALREADY_EXISTS} when `path` exists
   * @throws {NO_SPACE} {ABORTED}
   */
  async save(path: string, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    await this.saveSharing(path, undefined, options.signal);
  }

  /** @internal Saves several snapshots of forks with one copy of the RAM that they share; see `SaveRequest.sharedRam`. */
  async saveSharing(
    path: string,
    sharedRam: Map<string, string> | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { snapshots, guest, accelerator, context } = this.#family;
    const base = snapshots.forkBase(this.name);
    const { screen, forwardedPorts = [], occupied } = snapshots.get(this.name);
    const ports = [...new Set([...(guest.ports ?? []), ...forwardedPorts])];
    const release = holdFamily(this.#family);
    try {
      await saveToFolder(path, {
        base,
        accelerator,
        binary: context.binary,
        signal,
        sharedRam,
        occupied,
        info: infoOf(this),
        guest: describeGuest({ ...guest, ...(ports.length > 0 && { ports }) }),
        screen,
      });
    } finally {
      await release();
    }
  }

  /** @internal Returns the bytes that it takes, without those that it shares with the snapshot before it. */
  bytes(): Promise<number> {
    return bytesOf(this.#family.snapshots.forkBase(this.name));
  }

  /**
   * @internal Removes it. Its disks stay, since the VM has overlays of them, until the returned function is called, which is when no VM uses them.
   */
  async drop(): Promise<() => Promise<void>> {
    const { snapshots } = this.#family;
    const { directory } = snapshots.forkBase(this.name);
    await snapshots.remove(this.name);
    return () => snapshots.removeDirectory(directory);
  }

  /** Releases a snapshot that `openSnapshot` opened; does nothing for one that a VM made. */
  close(): Promise<void> {
    this.#closing ??= Promise.resolve(this.#origin.close?.());
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
