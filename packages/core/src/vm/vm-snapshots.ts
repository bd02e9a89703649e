import { randomBytes, randomInt } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { mustBeForkable } from '../qemu/inspect.js';
import type { Machine } from '../qemu/machine.js';
import { freeze } from '../snapshot/freeze.js';
import { startFork, type FrozenMachine } from '../snapshot/frozen.js';
import { blockedError, remedyFor, type SnapshotBlocker } from '../snapshot/blockers.js';
import { internalBlockers, loadInternal, saveInternal, type InternalSnapshot } from '../snapshot/internal.js';
import type { SnapshotInfo } from '../snapshot/store.js';
import { removeRamFile, whyNoRamFile } from '../snapshot/ram-file.js';
import { whatBlocks } from '../snapshot/save-state.js';
import { chooseStrategy, type SnapshotStrategy } from '../snapshot/strategy.js';
import { monotonicMs, wallTime } from '../util/clock.js';
import type { WaitOptions } from '../util/deadline.js';
import type { NewVmEvent } from './events.js';
import type { VmFamily } from './family.js';
import type { MachineSlot } from './machine-slot.js';
import { prepareSettling, settle } from './settle.js';
import { Snapshot } from './snapshot.js';

export interface SnapshotOptions extends WaitOptions {
  /** Default: the fastest that this machine allows; the snapshot says which, and why. */
  readonly strategy?: SnapshotStrategy;
  /**
   * The guest, and those that are put back to the snapshot, can be rebooted although they boot by `-kernel`: each QEMU then reads kernel
   * and initrd and holds them, 16 MiB of Debian's. Default false; a guest that boots from its disk can always be rebooted.
   */
  readonly reboots?: boolean;
}

export interface RestoreOptions extends WaitOptions {
  /**
   * `host` (default) sets the guest's clock to the host's as soon as its second shell answers, which `vm.settled` awaits; a date
   * sets it to that; `keep` leaves it where it was.
   */
  readonly clock?: 'host' | 'keep' | Date;
}

export interface ForkOptions extends RestoreOptions {
  /** How many; default 1. */
  readonly count?: number;
}

/** How one vm is saved and put back: exchanges the machine in its slot. */
export class VmSnapshots {
  readonly #name: string;
  readonly #family: VmFamily;
  readonly #slot: MachineSlot;
  readonly #directory: string;
  readonly #emit: (event: NewVmEvent) => void;
  #folders = 0;
  #seed = randomInt(2 ** 48 - 1);
  #settled: Promise<void> = Promise.resolve();

  constructor(vm: { readonly name: string; readonly family: VmFamily; readonly slot: MachineSlot; readonly directory: string; readonly emit: (event: NewVmEvent) => void }) {
    this.#name = vm.name;
    this.#family = vm.family;
    this.#slot = vm.slot;
    this.#directory = vm.directory;
    this.#emit = vm.emit;
  }

  /** The body of `vm.snapshot`. */
  async save(name: string, options: SnapshotOptions): Promise<Snapshot> {
    const { snapshots } = this.#family;
    snapshots.checkNew(name);
    const begun = monotonicMs();
    const choice = chooseStrategy(this.#slot.machine.spec, options.strategy);
    const reasons = await whatBlocks(this.#slot.machine.qmp);
    if (reasons.length > 0) throw blockedError(reasons);
    const nonce = await this.#prepareGuest();
    const { saved, pausedMs } = choice.strategy === 'internal' ? await this.#saveInternal(options) : await this.#freeze(choice.strategy, options);
    const info = { name, ...choice, savedAt: wallTime(), pausedMs, ...(nonce !== undefined && { nonce }) };
    snapshots.add({ ...info, saved, screen: this.#slot.console.remember() });
    this.#emit({ type: 'snapshot', name, ms: monotonicMs() - begun });
    return new Snapshot(this.#family, info);
  }

  /** The body of `vm.snapshotBlockers`. */
  async blockers(options: SnapshotOptions): Promise<readonly SnapshotBlocker[]> {
    const { spec, qmp } = this.#slot.machine;
    const { strategy } = chooseStrategy(spec, options.strategy);
    const reasons = await whatBlocks(qmp);
    const machine = strategy === 'internal' ? internalBlockers(spec) : (spec.readBack?.obstacles ?? []);
    const ram = strategy === 'template' && spec.ram.share !== true ? await whyNoRamFile(this.#family.context, spec.memoryMiB) : undefined;
    return [...reasons.map((reason) => ({ reason, remedy: remedyFor([reason]) })), ...machine, ...(ram ? [{ reason: ram.message, remedy: ram.hint ?? '' }] : [])];
  }

  /** The body of `vm.restore`. */
  async restore(name: string, options: RestoreOptions): Promise<void> {
    const begun = monotonicMs();
    const { saved, screen } = this.#family.snapshots.get(name);
    if (saved.strategy === 'internal') {
      await loadInternal(this.#slot.machine, saved, options);
      this.#slot.reattach();
    } else {
      await this.#become(saved, options);
    }
    const drawn = screen && this.#slot.console.recall(screen);
    await this.begin(options);
    await drawn;
    this.#emit({ type: 'restored', name, ms: monotonicMs() - begun });
  }

  /** Another whole number below 2^48 each time the guest is put back. */
  get seed(): number {
    return this.#seed;
  }

  /** The clock is set and the random numbers are the guest's own, or its second shell does not answer. */
  get settled(): Promise<void> {
    return this.#settled;
  }

  /** Lets a machine that was loaded run on. */
  async begin(options: RestoreOptions): Promise<void> {
    await this.#slot.machine.qmp.execute('cont', undefined, options);
    this.#seed = randomInt(2 ** 48 - 1);
    const { clock = 'host' } = options;
    const { sampling } = this.#slot;
    if (!sampling) return;
    const time = clock === 'host' ? new Date() : clock === 'keep' ? undefined : clock;
    // A guest too stuck for it shows that to the detectors.
    this.#settled = settle(sampling, { clock: time, seed: this.#seed }).catch(() => {});
  }

  /** The machine's files go with it; a RAM file that a snapshot has taken over stays. */
  async dispose({ spec, directory }: Machine): Promise<void> {
    const { path, share } = spec.ram;
    if (share === true && path !== undefined && !this.#family.snapshots.holdsRam(path)) await removeRamFile(path);
    await rm(directory, { recursive: true, force: true });
  }

  async #saveInternal(options: WaitOptions): Promise<{ saved: InternalSnapshot; pausedMs: number }> {
    const begun = monotonicMs();
    const saved = await saveInternal(this.#slot.machine, options);
    return { saved, pausedMs: monotonicMs() - begun };
  }

  async #freeze(strategy: FrozenMachine['strategy'], { reboots, ...options }: SnapshotOptions): Promise<{ saved: FrozenMachine; pausedMs: number }> {
    const { machine } = this.#slot;
    mustBeForkable(machine.spec);
    const directory = await this.#newFolder();
    try {
      const { frozen, successor, pausedMs } = await freeze(machine, this.#family.context, {
        ...options, strategy, name: this.#name, directory, resume: await this.#isRunning(), reboots,
      });
      // Its RAM file and its disks are the snapshot's now.
      this.#slot.replace(successor, (old) => rm(old.directory, { recursive: true, force: true }));
      return { saved: frozen, pausedMs };
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Replaces this vm's machine by a fork, loaded and paused. */
  async #become(frozen: FrozenMachine, options: WaitOptions): Promise<void> {
    const directory = await this.#newFolder();
    await this.#slot.exchange(
      (old) => this.dispose(old),
      () => startFork(frozen, { ...options, name: this.#name, binary: this.#family.context.binary, directory }),
    );
  }

  async #newFolder(): Promise<string> {
    const directory = join(this.#directory, `m${(this.#folders += 1)}`);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return directory;
  }

  /** The body of `vm.restoredFrom`. */
  whose(nonce: string): SnapshotInfo | undefined {
    return this.#family.snapshots.list().find((snapshot) => snapshot.nonce === nonce);
  }

  /** What makes a guest quick to put back, and known again by the nonce that is given. One that does not answer is saved as it is. */
  async #prepareGuest(): Promise<string | undefined> {
    const { sampling } = this.#slot;
    if (!sampling?.answers || !(await this.#isRunning())) return undefined;
    const nonce = randomBytes(16).toString('hex');
    return prepareSettling(sampling, nonce).then(() => nonce, () => undefined);
  }

  async #isRunning(): Promise<boolean> {
    const { running } = await this.#slot.machine.qmp.execute('query-status');
    return running;
  }
}
