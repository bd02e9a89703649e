import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { QmpilotError } from '../errors.js';
import { acquireHostDirectories, releaseHostDirectories } from '../qemu/host-directory.js';
import type { Machine } from '../qemu/machine.js';
import { loadInternal, saveInternal } from '../snapshot/internal.js';
import type { SnapshotInfo, SnapshotStrategy } from '../snapshot/store.js';
import { removeRamFile, saveTemplate, startFork, type Template } from '../snapshot/template.js';
import { monotonicMs, wallTime } from '../util/clock.js';
import type { WaitOptions } from '../util/deadline.js';
import type { NewVmEvent } from './events.js';
import type { VmFamily } from './family.js';
import type { MachineSlot } from './machine-slot.js';

export interface SnapshotOptions extends WaitOptions {
  /** `template` (default): restored in a new QEMU within about 0.1 s, can be forked. `internal`: inside this QEMU. */
  readonly strategy?: SnapshotStrategy;
}

export interface RestoreOptions extends WaitOptions {
  /** `host` (default) sets the guest's clock to the host's as soon as its second shell answers; `keep` leaves it where it was. */
  readonly clock?: 'host' | 'keep';
}

export interface ForkOptions extends RestoreOptions {
  /** How many; default 1. */
  readonly count?: number;
}

/** A fork that was loaded, and what it holds on the host. */
export interface LoadedFork {
  readonly machine: Machine;
  readonly directory: string;
}

let forkCount = 0;

/** How one vm is saved and put back: exchanges the machine in its slot. */
export class VmSnapshots {
  readonly #name: string;
  readonly #family: VmFamily;
  readonly #slot: MachineSlot;
  readonly #directory: string;
  readonly #emit: (event: NewVmEvent) => void;
  #folders = 0;

  constructor(vm: { readonly name: string; readonly family: VmFamily; readonly slot: MachineSlot; readonly directory: string; readonly emit: (event: NewVmEvent) => void }) {
    this.#name = vm.name;
    this.#family = vm.family;
    this.#slot = vm.slot;
    this.#directory = vm.directory;
    this.#emit = vm.emit;
  }

  /** The body of `vm.snapshot`. */
  async save(name: string, options: SnapshotOptions): Promise<SnapshotInfo> {
    const { snapshots } = this.#family;
    snapshots.checkNew(name);
    const begun = monotonicMs();
    const wasRunning = await this.#isRunning();
    const strategy = options.strategy ?? 'template';
    const savedAt = wallTime();
    let pausedMs: number;
    if (strategy === 'internal') {
      const internal = await saveInternal(this.#slot.machine, options);
      pausedMs = monotonicMs() - begun;
      snapshots.add({ name, strategy, savedAt, pausedMs, internal });
    } else {
      const template = await this.#saveTemplate(wasRunning, options);
      pausedMs = template.pausedMs;
      snapshots.add({ name, strategy, savedAt, pausedMs, template });
      await this.#become(template, options);
      if (wasRunning) await this.#slot.machine.qmp.executeUntyped('cont', undefined, options);
    }
    this.#emit({ type: 'snapshot', name, ms: monotonicMs() - begun });
    return { name, strategy, savedAt, pausedMs };
  }

  /** The body of `vm.restore`. */
  async restore(name: string, options: RestoreOptions): Promise<void> {
    const begun = monotonicMs();
    const snapshot = this.#family.snapshots.get(name);
    if (snapshot.strategy === 'internal') {
      await loadInternal(this.#slot.machine, snapshot.internal, options);
      this.#slot.reattach();
    } else {
      await this.#become(snapshot.template, options);
    }
    await this.#slot.machine.qmp.executeUntyped('cont', undefined, options);
    this.#emit({ type: 'restored', name, ms: monotonicMs() - begun });
    setClock(this.#slot, options);
  }

  /** A RAM file that its machine wrote to, and that no template has taken over, goes with the machine. */
  async dropRam({ spec }: Machine): Promise<void> {
    if (spec.ram.share !== true || spec.ram.path === undefined) return;
    if (!this.#family.snapshots.holdsRam(spec.ram.path)) await removeRamFile(spec.ram.path);
  }

  async #saveTemplate(wasRunning: boolean, options: WaitOptions): Promise<Template> {
    const { machine } = this.#slot;
    try {
      return await this.#slot.expectEnd(() => saveTemplate(machine, this.#family.context, options));
    } catch (error) {
      if (!machine.process.exit && wasRunning) await machine.qmp.executeUntyped('cont').catch(() => {});
      if (machine.process.exit) this.#slot.noticeEnd();
      throw error;
    }
  }

  /** Replaces this vm's machine by a fork of the template, loaded and paused. */
  async #become(template: Template, options: WaitOptions): Promise<void> {
    const directory = join(this.#directory, `m${(this.#folders += 1)}`);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await this.#slot.exchange(
      async (old) => {
        await this.dropRam(old);
        await rm(old.directory, { recursive: true, force: true });
      },
      () => startFork(template, { ...options, name: this.#name, binary: this.#family.context.binary, directory }),
    );
  }

  async #isRunning(): Promise<boolean> {
    const { running } = await this.#slot.machine.qmp.executeUntyped<{ running: boolean }>('query-status');
    return running;
  }
}

/**
 * A machine that starts where the snapshot was made, loaded and paused, in a folder of its own; it holds the family's
 * snapshots and the host's folders until its vm is closed.
 * @throws {SNAPSHOT} for an internal snapshot, or one that does not load
 * @throws {NO_SPACE} {TIMEOUT} {ABORTED}: nothing is left then
 */
export async function loadFork(family: VmFamily, name: string, options: WaitOptions): Promise<LoadedFork> {
  const snapshot = family.snapshots.get(name);
  if (snapshot.strategy === 'internal') {
    throw new QmpilotError('SNAPSHOT', `the snapshot ${name} is internal to one QEMU and cannot be forked`, { hint: "make it with the strategy 'template'" });
  }
  const directories = await acquireHostDirectories();
  family.snapshots.retain();
  const directory = join(directories.disk, `fork-${(forkCount += 1)}`);
  try {
    await mkdir(directory, { mode: 0o700 });
    const machine = await startFork(snapshot.template, { ...options, name: 'fork', binary: family.context.binary, directory });
    return { machine, directory };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    await family.snapshots.release();
    await releaseHostDirectories();
    throw error;
  }
}

/** Unawaited: whoever needs the time at once asks for it on the same shell, behind this. */
export function setClock({ sampling }: MachineSlot, { clock = 'host' }: RestoreOptions): void {
  if (clock === 'keep') return;
  const now = (Date.now() / 1000).toFixed(3);
  void sampling?.exec(`date -u -s @${now}`, { timeout: '20s' }).catch(() => {
    // A guest too stuck to set its clock shows that to the detectors.
  });
}
