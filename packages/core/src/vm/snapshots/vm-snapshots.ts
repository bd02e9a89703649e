import { randomBytes, randomInt } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import { mustBeForkable } from '../../qemu/command-line/inspect.js';
import type { Machine } from '../../qemu/process/machine.js';
import { exitError } from '../../qemu/process/process.js';
import { blockedError, remedyFor, type SnapshotBlocker } from '../../snapshot/blockers.js';
import type { SnapshotInfo } from '../../snapshot/store.js';
import { freeze, type Freeze } from '../../snapshot/strategies/freeze.js';
import { removeFrozen, startFork, type FrozenMachine } from '../../snapshot/strategies/frozen.js';
import {
  internalBlockers,
  loadInternal,
  saveInternal,
  type InternalSnapshot,
} from '../../snapshot/strategies/internal.js';
import { removeRamFile, whyNoRamFile } from '../../snapshot/strategies/ram-file.js';
import { whatBlocks } from '../../snapshot/strategies/save-state.js';
import { chooseStrategy, type SnapshotStrategy } from '../../snapshot/strategies/strategy.js';
import { sharedDiskBlockers, writableDisks } from '../../snapshot/writable-disks.js';
import { monotonicMs, wallTime } from '../../util/clock.js';
import { awaitWithin, type WaitOptions } from '../../util/deadline.js';
import { Turns } from '../../util/mutex.js';
import type { NewVmEvent } from '../events.js';
import type { VmFamily } from '../family.js';
import type { MachineSlot } from '../machine/machine-slot.js';
import { prepareSettling, settle } from './reseed.js';
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
  readonly #turns: Turns;
  readonly #closed = new AbortController();
  #restores: Promise<unknown> = Promise.resolve();
  #folders = 0;
  #seed = randomInt(2 ** 48 - 1);
  #settled: Promise<void> = Promise.resolve();

  constructor(vm: {
    readonly name: string;
    readonly family: VmFamily;
    readonly slot: MachineSlot;
    readonly directory: string;
    readonly emit: (event: NewVmEvent) => void;
  }) {
    this.#name = vm.name;
    this.#turns = new Turns(vm.name);
    this.#family = vm.family;
    this.#slot = vm.slot;
    this.#directory = vm.directory;
    this.#emit = vm.emit;
  }

  /** The body of `vm.snapshot`. */
  async save(name: string, options: SnapshotOptions): Promise<Snapshot> {
    const release = this.#family.snapshots.reserve(name);
    try {
      return await this.inTurn(`the snapshot ${name}`, options, (wait) => this.#save(name, { ...options, ...wait }));
    } finally {
      release();
    }
  }

  /** The body of `vm.restore`; `leave` ends what has to do with the guest of before. */
  restore(name: string, options: RestoreOptions, leave: () => Promise<void>): Promise<void> {
    const restoring = this.inTurn(`the restore of ${name}`, options, async (wait) => {
      await leave();
      await this.#restore(name, { ...options, ...wait });
    });
    this.#restores = Promise.allSettled([this.#restores, restoring]);
    return restoring;
  }

  /** Resolves when the guest is the one that the restores asked for so far have put there. */
  async restored(options: WaitOptions): Promise<void> {
    await awaitWithin<void>(
      { awaited: `the restore of ${this.#name}` },
      { signal: options.signal },
      (resolve) => void this.#restores.then(() => resolve()),
    );
  }

  /**
   * What exchanges the machine, or may not meet that, is done one after the other.
   * @throws {CLOSED} when the vm is closed meanwhile
   */
  async inTurn<T>(
    doing: string,
    { signal, timeout }: WaitOptions,
    task: (wait: WaitOptions) => Promise<T>,
  ): Promise<T> {
    const either = signal ? AbortSignal.any([signal, this.#closed.signal]) : this.#closed.signal;
    try {
      return await this.#turns.take(doing, either, () => task({ signal: either, timeout }));
    } catch (error) {
      if (!this.#closed.signal.aborted || signal?.aborted) throw error;
      throw new QmpilotError('CLOSED', `the vm ${this.#name} was closed during ${doing}`, { cause: error });
    }
  }

  /** Takes away what would stay in somebody else's disk image; never rejects. */
  async leaveForeignDisks(): Promise<void> {
    await this.#family.snapshots.leaveForeignDisks(this.#slot.machine);
  }

  /** Cancels what is under way. */
  cancel(): void {
    this.#closed.abort();
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    await this.#turns.take(this.#name, undefined, async () => {});
  }

  async #save(name: string, options: SnapshotOptions): Promise<Snapshot> {
    this.#slot.mustRun();
    const { snapshots } = this.#family;
    const begun = monotonicMs();
    const choice = chooseStrategy(this.#slot.machine.spec, options.strategy);
    const reasons = await whatBlocks(this.#slot.machine.qmp);
    if (reasons.length > 0) throw blockedError(reasons);
    const [shared] = choice.strategy === 'internal' ? [] : await this.#sharedDisks();
    if (shared)
      throw new QmpilotError('SNAPSHOT', `this vm cannot be saved: ${shared.reason}`, { hint: shared.remedy });
    const nonce = await this.#prepareGuest(options);
    const { saved, pausedMs } =
      choice.strategy === 'internal' ? await this.#saveInternal(options) : await this.#freeze(choice.strategy, options);
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
    const machine =
      strategy === 'internal'
        ? await internalBlockers(this.#slot.machine)
        : [...(spec.readBack?.obstacles ?? []), ...(await this.#sharedDisks())];
    const ram =
      strategy === 'template' && spec.ram.share !== true
        ? await whyNoRamFile(this.#family.context, spec.memoryMiB)
        : undefined;
    return [
      ...reasons.map((reason) => ({ reason, remedy: remedyFor([reason]) })),
      ...machine,
      ...(ram ? [{ reason: ram.message, remedy: ram.hint ?? '' }] : []),
    ];
  }

  async #restore(name: string, options: RestoreOptions): Promise<void> {
    const begun = monotonicMs();
    const { saved, screen } = this.#family.snapshots.get(name);
    if (saved.strategy === 'internal') {
      await loadInternal(this.#slot.machine, saved, options);
      this.#slot.returnToLife();
    } else {
      await this.#become(saved, options);
    }
    const drawn = screen && this.#slot.console.recall(screen);
    // The guest of before is gone: to give up now would leave one that stands still.
    await this.begin({ ...(options.clock && { clock: options.clock }) });
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
    await this.#cont(options);
    this.#seed = randomInt(2 ** 48 - 1);
    const { clock = 'host' } = options;
    const { sampling } = this.#slot;
    if (!sampling) return;
    const time = clock === 'host' ? new Date() : clock === 'keep' ? undefined : clock;
    // A guest too stuck for it shows that to the detectors.
    this.#settled = settle(sampling, { clock: time, seed: this.#seed }).catch(() => {});
  }

  async #cont(options: WaitOptions): Promise<void> {
    const { qmp, process } = this.#slot.machine;
    try {
      await qmp.execute('cont', undefined, options);
    } catch (error) {
      if (!isQmpilotError(error, 'QMP_LINK')) throw error;
      const exit = await process.waitForExit({ timeout: 1000 }).catch(() => undefined);
      throw exit ? exitError('its guest was to run on', exit, process.stderr(), process.pid, process.args) : error;
    }
  }

  /** The machine's files go with it; a RAM file that a snapshot has taken over stays. */
  async dispose({ spec, directory }: Machine): Promise<void> {
    const { path, share } = spec.ram;
    if (share === true && path !== undefined && !this.#family.snapshots.holdsRam(path)) await removeRamFile(path);
    await rm(directory, { recursive: true, force: true });
  }

  async #sharedDisks(): Promise<readonly SnapshotBlocker[]> {
    const { spec, qmp } = this.#slot.machine;
    return sharedDiskBlockers(spec, writableDisks(await qmp.execute('query-block')));
  }

  async #saveInternal(options: WaitOptions): Promise<{ saved: InternalSnapshot; pausedMs: number }> {
    const begun = monotonicMs();
    await this.#slot.outlivePoweroff(options);
    const saved = await saveInternal(this.#slot.machine, options);
    return { saved, pausedMs: monotonicMs() - begun };
  }

  async #freeze(
    strategy: FrozenMachine['strategy'],
    { reboots, ...options }: SnapshotOptions,
  ): Promise<{ saved: FrozenMachine; pausedMs: number }> {
    const { machine } = this.#slot;
    mustBeForkable(machine.spec);
    const directory = await this.#newFolder();
    let made: Freeze | undefined;
    try {
      const resume = await this.#isRunning();
      const frozen = await this.#slot.move(
        // Its RAM file and its disks are the snapshot's now.
        (old) => rm(old.directory, { recursive: true, force: true }),
        async () =>
          (made = await freeze(machine, this.#family.context, {
            ...options,
            strategy,
            name: this.#name,
            directory,
            resume,
            reboots,
          })),
      );
      return { saved: frozen.frozen, pausedMs: frozen.pausedMs };
    } catch (error) {
      if (made) {
        await removeFrozen(made.frozen);
        await rm(made.frozen.directory, { recursive: true, force: true });
      }
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Replaces this vm's machine by a fork, loaded and paused. */
  async #become(frozen: FrozenMachine, options: WaitOptions): Promise<void> {
    const directory = await this.#newFolder();
    try {
      await this.#slot.exchange(
        (old) => this.dispose(old),
        () => startFork(frozen, { ...options, name: this.#name, binary: this.#family.context.binary, directory }),
      );
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
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
  async #prepareGuest({ signal }: WaitOptions): Promise<string | undefined> {
    const { sampling } = this.#slot;
    if (!sampling?.answers || !(await this.#isRunning())) return undefined;
    const nonce = randomBytes(16).toString('hex');
    return prepareSettling(sampling, nonce, signal).then(
      () => nonce,
      () => undefined,
    );
  }

  async #isRunning(): Promise<boolean> {
    const { running } = await this.#slot.machine.qmp.execute('query-status');
    return running;
  }
}
