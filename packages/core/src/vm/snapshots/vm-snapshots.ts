import { randomBytes, randomInt } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import { mustBeForkable } from '../../qemu/command-line/inspect.js';
import type { Machine } from '../../qemu/process/machine.js';
import { exitError } from '../../qemu/process/process.js';
import { blockedError } from '../../snapshot/blockers.js';
import type { SnapshotInfo } from '../../snapshot/store.js';
import { AllRamNeeded, createChangedBase } from '../../snapshot/strategies/create-changed-base.js';
import { createForkBase, type CreatedForkBase } from '../../snapshot/strategies/create-fork-base.js';
import { removeForkBase, startFork, type ForkBase } from '../../snapshot/strategies/fork-base.js';
import { loadInternal, saveInternal, type InternalSnapshot } from '../../snapshot/strategies/internal.js';
import { removeRamFile } from '../../snapshot/strategies/ram-file.js';
import { whatBlocks } from '../../snapshot/strategies/save-state.js';
import { chooseStrategy } from '../../snapshot/strategies/strategy.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import { monotonicMs, wallTime } from '../../util/time/clock.js';
import type { VmContext } from '../context.js';
import { secondQemuBlockers } from './list-blockers.js';
import type { BeginOptions, RestoreOptions } from './options.js';
import { prepareReseed, reseed } from './reseed.js';
import { changedPagesAreNotAll, eitherOf, type SaveOptions, type SnapshotHooks } from './save-options.js';

/** Saves one VM and restores it: replaces the machine in its slot. */
export class VmSnapshots {
  readonly #context: VmContext;
  readonly #directory: string;
  readonly #hooks: SnapshotHooks;
  #restores: Promise<unknown> = Promise.resolve();
  /** The guest as it will be after all restores that were asked for; aborted when the next one replaces it. */
  #guest = new AbortController();
  /** The guests before it that still exist, the oldest first. */
  readonly #guests = new Set([this.#guest]);
  #folders = 0;
  #seed = randomInt(2 ** 48 - 1);
  #reseeded: Promise<void> = Promise.resolve();

  constructor(context: VmContext, directory: string, hooks: SnapshotHooks) {
    this.#context = context;
    this.#directory = directory;
    this.#hooks = hooks;
  }

  /** Saves the guest as it is now, under a name. */
  async save(name: string, options: SaveOptions): Promise<SnapshotInfo> {
    const release = this.#context.family.snapshots.reserve(name);
    try {
      return await this.#context.turns.runWithin(`the snapshot ${name}`, options, (wait) =>
        this.#save(name, { ...options, ...wait }),
      );
    } finally {
      release();
    }
  }

  /** Restores a snapshot, after all restores that were asked for before. */
  restore(name: string, options: RestoreOptions): Promise<void> {
    this.#context.family.snapshots.get(name);
    const next = new AbortController();
    this.#guest = next;
    this.#guests.add(next);
    const restoring = this.#context.turns.runWithin(`the restore of ${name}`, options, async (wait) => {
      await this.#leaveGuests(next);
      await this.#restore(name, { ...options, ...wait });
    });
    this.#restores = Promise.allSettled([this.#restores, restoring]);
    return restoring;
  }

  /** Fires when a restore replaces the present guest. */
  get guestSignal(): AbortSignal {
    return this.#guest.signal;
  }

  /** Resolves when all restores are done, those that were requested meanwhile included: they would end what begins before them. */
  async restored({ signal }: WaitOptions): Promise<void> {
    for (let done: Promise<unknown> | undefined; done !== this.#restores;) {
      const restores = this.#restores;
      await awaitWithin<void>(
        { awaited: `the restore of ${this.#context.name}` },
        { signal },
        (resolve) => void restores.then(() => resolve()),
      );
      done = restores;
    }
  }

  /** Removes internal snapshots from disk images that are not ours; never rejects. */
  async cleanForeignDisks(): Promise<void> {
    await this.#context.family.snapshots.removeFromForeignDisks(this.#context.slot.machine);
  }

  async #save(name: string, options: SaveOptions): Promise<SnapshotInfo> {
    const { slot, family } = this.#context;
    slot.life.assertRunning();
    const begun = monotonicMs();
    const choice = chooseStrategy(slot.machine.spec, options.strategy);
    if (options.changedOnly && choice.strategy !== 'template') throw changedPagesAreNotAll(choice.reason);
    const reasons = await whatBlocks(slot.machine.qmp);
    if (reasons.length > 0) throw blockedError(reasons);
    const [shared] = choice.strategy === 'internal' ? [] : await secondQemuBlockers(slot.machine);
    if (shared)
      throw new QmpilotError('SNAPSHOT', `this VM cannot be saved: ${shared.reason}`, { hint: shared.remedy });
    const forwards = await this.#context.forwards.readOrRecall();
    const nonce = options.changedOnly ? undefined : await this.#prepareGuest(options);
    const before = slot.machine;
    const occupied = this.#hooks.occupied();
    // QEMU puts what is under way into the RAM of a guest that is paused, too.
    const continueCopies = await slot.copyPort?.hold();
    const { saved, pausedMs, allRam } = await (
      choice.strategy === 'internal' ? this.#saveInternal(options) : this.#saveFiles(choice.strategy, options)
    ).finally(continueCopies);
    if (slot.machine !== before) await this.#context.forwards.addAgain(forwards);
    const reason = allRam === undefined ? choice.reason : `${choice.reason}; all of the RAM was written: ${allRam}`;
    const info = { name, ...choice, reason, savedAt: wallTime(), pausedMs, ...(nonce !== undefined && { nonce }) };
    const forwardedPorts = forwards.map(({ guestPort }) => guestPort);
    family.snapshots.add({
      ...info,
      saved,
      screen: slot.console.remember(),
      forwardedPorts,
      occupied: eitherOf(occupied, this.#hooks.occupied()),
    });
    this.#context.emit({ type: 'snapshot', name, ms: monotonicMs() - begun });
    return info;
  }

  async #restore(name: string, options: RestoreOptions): Promise<void> {
    const begun = monotonicMs();
    const { saved, screen } = this.#context.family.snapshots.get(name);
    if (saved.strategy === 'internal') {
      await loadInternal(this.#context.slot.machine, saved, options);
      this.#context.slot.markRestored();
    } else {
      await this.#become(saved, options);
    }
    const drawn = screen && this.#context.slot.console.recall(screen);
    // The previous guest is gone: giving up here would leave a VM that is paused.
    await this.begin({ ...(options.clock && { clock: options.clock }) });
    await drawn;
    this.#context.emit({ type: 'restored', name, ms: monotonicMs() - begun });
  }

  /** A new whole number below 2^48 for each restore. */
  get seed(): number {
    return this.#seed;
  }

  /** Resolves when the guest has its own clock and random numbers, or its second shell did not answer. */
  get reseeded(): Promise<void> {
    return this.#reseeded;
  }

  /** Starts the guest of a machine that was loaded. */
  async begin(options: BeginOptions): Promise<void> {
    await this.#cont(options);
    this.#seed = options.seed ?? randomInt(2 ** 48 - 1);
    const { clock = 'host' } = options;
    const { sampling } = this.#context.slot;
    if (!sampling) return;
    const time = clock === 'host' ? new Date() : clock === 'keep' ? undefined : clock;
    // The detectors report a guest that is stuck.
    this.#reseeded = reseed(sampling, { clock: time, seed: this.#seed }).catch(() => {});
  }

  async #cont(options: WaitOptions): Promise<void> {
    const { qmp, process } = this.#context.slot.machine;
    try {
      await qmp.execute('cont', undefined, options);
    } catch (error) {
      if (!isQmpilotError(error, 'QMP_LINK')) throw error;
      const exit = await process.waitForExit({ patience: 1000 }).catch(() => undefined);
      throw exit ? exitError('its guest was resumed', exit, process.stderr(), process.pid, process.args) : error;
    }
  }

  /** Removes the machine's files, but not a RAM file that a snapshot has taken over. */
  async dispose({ spec, directory }: Machine): Promise<void> {
    const { path, share } = spec.ram;
    if (share === true && path !== undefined && !this.#context.family.snapshots.holdsRam(path))
      await removeRamFile(path);
    await rm(directory, { recursive: true, force: true });
  }

  async #saveInternal(
    options: WaitOptions,
  ): Promise<{ saved: InternalSnapshot; pausedMs: number; allRam?: undefined }> {
    const begun = monotonicMs();
    await this.#context.slot.keepAliveOnPoweroff(options);
    const saved = await saveInternal(this.#context.slot.machine, options);
    return { saved, pausedMs: monotonicMs() - begun };
  }

  /** Saves a fork with the pages that it has changed, where that is possible, and every other VM with all of its RAM. */
  async #saveFiles(
    strategy: ForkBase['strategy'],
    { changedOnly = false, ...options }: SaveOptions,
  ): Promise<{ saved: ForkBase; pausedMs: number; allRam?: string }> {
    const { machine } = this.#context.slot;
    mustBeForkable(machine.spec);
    if (strategy !== 'template' || machine.spec.ram.share !== false) {
      if (changedOnly) throw changedPagesAreNotAll('the VM is not a fork');
      return this.#saveAllRam(strategy, options);
    }
    try {
      if (this.#context.family.snapshots.hasInternal(machine))
        throw new AllRamNeeded('it has a snapshot in its present disks');
      const { context, snapshots } = this.#context.family;
      const { base, pausedMs } = await createChangedBase(machine, context, {
        ...options,
        resume: await this.#isRunning(),
        onDisksShared: (directory) => snapshots.removeWithFamily(directory),
      });
      return { saved: base, pausedMs };
    } catch (error) {
      if (!(error instanceof AllRamNeeded)) throw error;
      if (changedOnly) throw isQmpilotError(error.cause) ? error.cause : changedPagesAreNotAll(error.message);
      const saved = await this.#saveAllRam(strategy, options);
      return { ...saved, allRam: error.message };
    }
  }

  async #saveAllRam(
    strategy: ForkBase['strategy'],
    { reboots, ...options }: SaveOptions,
  ): Promise<{ saved: ForkBase; pausedMs: number }> {
    const { machine } = this.#context.slot;
    const directory = await this.#newFolder();
    let made: CreatedForkBase | undefined;
    try {
      const resume = await this.#isRunning();
      const created = await this.#context.slot.move(
        // Its RAM file and its disks belong to the snapshot now.
        (old) => rm(old.directory, { recursive: true, force: true }),
        async () =>
          (made = await createForkBase(machine, this.#context.family.context, {
            ...options,
            strategy,
            name: this.#context.name,
            directory,
            resume,
            reboots,
          })),
      );
      return { saved: created.base, pausedMs: created.pausedMs };
    } catch (error) {
      if (made) {
        await removeForkBase(made.base);
        await rm(made.base.directory, { recursive: true, force: true });
      }
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Replaces this VM's machine by a fork, loaded and paused. */
  async #become(base: ForkBase, options: WaitOptions): Promise<void> {
    const directory = await this.#newFolder();
    const forwards = await this.#context.forwards.readOrRecall();
    try {
      await this.#context.slot.exchange(
        (old) => this.dispose(old),
        () =>
          startFork(base, {
            ...options,
            name: this.#context.name,
            binary: this.#context.family.context.binary,
            directory,
          }),
      );
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
    await this.#context.forwards.addAgain(forwards);
  }

  async #leaveGuests(next: AbortController): Promise<void> {
    for (const guest of this.#guests) {
      if (guest === next) break;
      this.#guests.delete(guest);
      guest.abort();
    }
    await this.#hooks.onLeave();
  }

  async #newFolder(): Promise<string> {
    const directory = join(this.#directory, `m${(this.#folders += 1)}`);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return directory;
  }

  /** The snapshot whose nonce the guest has. */
  whose(nonce: string): SnapshotInfo | undefined {
    return this.#context.family.snapshots.list().find((snapshot) => snapshot.nonce === nonce);
  }

  /** Prepares the guest for fast restores and returns the nonce left in it. A guest that does not answer is saved as it is. */
  async #prepareGuest({ signal }: WaitOptions): Promise<string | undefined> {
    const { sampling } = this.#context.slot;
    if (!sampling?.answers || !(await this.#isRunning())) return undefined;
    const nonce = randomBytes(16).toString('hex');
    return prepareReseed(sampling, nonce, signal).then(
      () => nonce,
      () => undefined,
    );
  }

  async #isRunning(): Promise<boolean> {
    const { running } = await this.#context.slot.machine.qmp.execute('query-status');
    return running;
  }
}
