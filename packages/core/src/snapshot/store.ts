import { QmpilotError } from '../errors.js';
import type { Machine } from '../qemu/process/machine.js';
import { debugLog } from '../util/debug-log.js';
import { removeDirectory } from '../util/files/remove-directory.js';
import { shown } from '../util/text/shown.js';
import { removeForkBase, type ForkBase } from './strategies/fork-base.js';
import { removeInternal, type InternalSnapshot } from './strategies/internal.js';
import { REQUESTED, type SnapshotStrategy } from './strategies/strategy.js';

const log = debugLog('snapshot');

/** The screen of a console: a guest does not draw it again after a restore. */
export interface StoredScreen {
  readonly bytes: Uint8Array;
  readonly columns: number;
  readonly rows: number;
}

/** Consoles of a guest on which commands run. */
export interface OccupiedConsoles {
  /** The one of the VM's main shell. */
  readonly shell: boolean;
  /** Spare ones, by their names. */
  readonly spares: readonly string[];
}

export type StoredSnapshot = SnapshotInfo & {
  readonly saved: ForkBase | InternalSnapshot;
  readonly screen?: StoredScreen | undefined;
  /** Ports of the guest that were forwarded then: a fork forwards ports of its own to them. */
  readonly forwardedPorts?: readonly number[];
  /** Where commands ran that go on in a fork: there it must send nothing. */
  readonly occupied?: OccupiedConsoles | undefined;
};

/** A snapshot, as it is shown to users. */
export interface SnapshotInfo {
  readonly name: string;
  readonly strategy: SnapshotStrategy;
  /** Why this strategy was used. */
  readonly reason: string;
  /** Wall clock, ISO 8601. */
  readonly savedAt: string;
  /** How long the guest was paused for it, in ms. */
  readonly pausedMs: number;
  /** Random, and only in the RAM of the guests that were restored from it; missing where no shell of the guest answered. */
  readonly nonce?: string;
}

export function infoOf({ name, strategy, reason, savedAt, pausedMs, nonce }: SnapshotInfo): SnapshotInfo {
  return { name, strategy, reason, savedAt, pausedMs, ...(nonce !== undefined && { nonce }) };
}

/** The snapshots of a VM and all its forks; removed when the last of these VMs is closed. */
export class SnapshotStore {
  readonly #snapshots = new Map<string, StoredSnapshot>();
  readonly #reserved = new Set<string>();
  readonly #directories: string[] = [];
  #users = 1;

  retain(): this {
    this.#users += 1;
    return this;
  }

  async release(): Promise<void> {
    this.#users -= 1;
    if (this.#users > 0) return;
    for (const name of [...this.#snapshots.keys()]) await this.remove(name).catch(() => {});
    for (const directory of this.#directories.splice(0)) await removeDirectory(directory);
  }

  list(): readonly SnapshotInfo[] {
    return [...this.#snapshots.values()].map(infoOf);
  }

  /** Removes this directory when the last VM of the family is closed. */
  removeWithFamily(directory: string): void {
    this.#directories.push(directory);
  }

  /** Whether a snapshot's RAM is in this file. */
  holdsRam(path: string): boolean {
    return [...this.#snapshots.values()].some(({ saved }) => saved.strategy === 'template' && saved.ramFile === path);
  }

  /** Whether a snapshot is in the disks of this machine. */
  hasInternal(machine: Machine): boolean {
    return [...this.#snapshots.values()].some(
      ({ saved }) => saved.strategy === 'internal' && saved.machine === machine,
    );
  }

  /**
   * Reserves a name for a snapshot that is being taken; returns the function that releases it.
   * @throws {USAGE} when the name is invalid
   * @throws {ALREADY_EXISTS}
   */
  reserve(name: string): () => void {
    if (typeof name !== 'string' || !/^\w[\w.-]{0,99}$/.test(name)) throw invalidName(name);
    if (this.#snapshots.has(name) || this.#reserved.has(name)) {
      throw new QmpilotError('ALREADY_EXISTS', `snapshot ${name} already exists`, {
        hint: 'choose another name, or remove that one first',
      });
    }
    this.#reserved.add(name);
    return () => void this.#reserved.delete(name);
  }

  add(snapshot: StoredSnapshot): void {
    log?.(() => `added ${snapshot.name}: ${snapshot.strategy} (${snapshot.reason}), paused ${snapshot.pausedMs} ms`);
    this.#snapshots.set(snapshot.name, snapshot);
    if (snapshot.saved.strategy !== 'internal') this.#directories.push(snapshot.saved.directory);
  }

  /**
   * The files of a snapshot that other QEMUs can start from.
   * @throws {SNAPSHOT} for an internal one
   * @throws {NOT_FOUND} when there is none of this name
   */
  forkBase(name: string): ForkBase {
    const { saved, reason } = this.get(name);
    if (saved.strategy !== 'internal') return saved;
    const what = `the snapshot ${name} is internal to one QEMU and cannot be forked`;
    if (reason === REQUESTED)
      throw new QmpilotError('SNAPSHOT', what, {
        hint: "make it without the strategy 'internal', if vm.snapshotBlockers({ strategy: 'file' }) lists no obstacle",
      });
    throw new QmpilotError('SNAPSHOT', `${what}: ${reason}`, {
      hint: "vm.snapshotBlockers({ strategy: 'file' }) lists what prevents forks of this VM, and how to remove it",
    });
  }

  /**
   * @throws {NOT_FOUND} when there is none of this name
   * @throws {USAGE} for a name that is not a string
   */
  get(name: string): StoredSnapshot {
    const found = this.#snapshots.get(name);
    if (found) return found;
    if (typeof name !== 'string') throw invalidName(name);
    const names = [...this.#snapshots.keys()];
    throw new QmpilotError('NOT_FOUND', `snapshot ${shown(name)} not found`, {
      hint:
        names.length > 0
          ? `there are: ${names.join(', ')}`
          : 'take one first: vm.snapshot(name), or qmpilot snapshot save',
    });
  }

  /** Removes the internal snapshots of a machine from images that belong to others; never rejects. */
  async removeFromForeignDisks(machine: Machine): Promise<void> {
    for (const [name, { saved }] of this.#snapshots) {
      if (saved.strategy !== 'internal' || saved.machine !== machine || !saved.foreign) continue;
      this.#snapshots.delete(name);
      await removeInternal(saved, { patience: '10s' }).catch(() => {});
    }
  }

  async remove(name: string): Promise<void> {
    const { saved } = this.get(name);
    this.#snapshots.delete(name);
    if (saved.strategy === 'internal') await removeInternal(saved);
    else await removeForkBase(saved);
  }

  /** Removes a directory that `remove` left for later overlays, of which there are none any more. */
  async removeDirectory(directory: string): Promise<void> {
    for (let at = this.#directories.indexOf(directory); at !== -1; at = this.#directories.indexOf(directory))
      this.#directories.splice(at, 1);
    await removeDirectory(directory);
  }
}

function invalidName(name: unknown): QmpilotError {
  return new QmpilotError('USAGE', `invalid snapshot name ${shown(name)}`, {
    hint: 'use up to 100 letters, digits, ".", "_" and "-"; the first must be a letter, a digit or "_"',
  });
}
