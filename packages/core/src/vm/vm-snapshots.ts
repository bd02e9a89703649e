import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { mustBeForkable } from '../qemu/inspect.js';
import type { Machine } from '../qemu/machine.js';
import { loadInternal, saveInternal } from '../snapshot/internal.js';
import type { SnapshotStrategy } from '../snapshot/store.js';
import { removeRamFile, saveTemplate, startFork, type Template } from '../snapshot/template.js';
import { monotonicMs, wallTime } from '../util/clock.js';
import type { WaitOptions } from '../util/deadline.js';
import type { NewVmEvent } from './events.js';
import type { VmFamily } from './family.js';
import type { MachineSlot } from './machine-slot.js';
import { Snapshot } from './snapshot.js';

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
  async save(name: string, options: SnapshotOptions): Promise<Snapshot> {
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
      snapshots.add({ name, strategy, savedAt, pausedMs, internal, screen: this.#slot.console.remember() });
    } else {
      const template = await this.#saveTemplate(wasRunning, options);
      pausedMs = template.pausedMs;
      snapshots.add({ name, strategy, savedAt, pausedMs, template, screen: this.#slot.console.remember() });
      await this.#become(template, options);
      if (wasRunning) await this.#slot.machine.qmp.execute('cont', undefined, options);
    }
    this.#emit({ type: 'snapshot', name, ms: monotonicMs() - begun });
    return new Snapshot(this.#family, { name, strategy, savedAt, pausedMs });
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
    if (snapshot.screen) this.#slot.console.recall(snapshot.screen);
    await this.begin(options);
    this.#emit({ type: 'restored', name, ms: monotonicMs() - begun });
  }

  /** Lets a machine that was loaded run on. */
  async begin(options: RestoreOptions): Promise<void> {
    await this.#slot.machine.qmp.execute('cont', undefined, options);
    setClock(this.#slot, options);
  }

  /** A RAM file that its machine wrote to, and that no template has taken over, goes with the machine. */
  async dropRam({ spec }: Machine): Promise<void> {
    if (spec.ram.share !== true || spec.ram.path === undefined) return;
    if (!this.#family.snapshots.holdsRam(spec.ram.path)) await removeRamFile(spec.ram.path);
  }

  async #saveTemplate(wasRunning: boolean, options: WaitOptions): Promise<Template> {
    const { machine } = this.#slot;
    mustBeForkable(machine.spec);
    try {
      return await this.#slot.expectEnd(() => saveTemplate(machine, this.#family.context, options));
    } catch (error) {
      if (!machine.process.exit && wasRunning) await machine.qmp.execute('cont').catch(() => {});
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
    const { running } = await this.#slot.machine.qmp.execute('query-status');
    return running;
  }
}

/** Unawaited: whoever needs the time at once asks for it on the same shell, behind this. */
function setClock({ sampling }: MachineSlot, { clock = 'host' }: RestoreOptions): void {
  if (clock === 'keep') return;
  const now = (Date.now() / 1000).toFixed(3);
  void sampling?.exec(`date -u -s @${now}`, { timeout: '20s' }).catch(() => {
    // A guest too stuck to set its clock shows that to the detectors.
  });
}
