import { EventEmitter } from 'eventemitter3';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Channel } from '../console/channel.js';
import { Console } from '../console/console.js';
import { QmpilotError } from '../errors.js';
import type { PreparedGuest } from '../guests/guest.js';
import type { AcceleratorChoice } from '../qemu/accelerator.js';
import { releaseHostDirectories, acquireHostDirectories } from '../qemu/host-directory.js';
import type { Machine } from '../qemu/machine.js';
import { exitError } from '../qemu/process.js';
import type { QmpClient } from '../qmp/client.js';
import { OutOfBandShell } from '../shell/out-of-band-shell.js';
import type { ExecOptions, ExecResult } from '../shell/shell.js';
import { loadInternal, saveInternal } from '../snapshot/internal.js';
import type { SnapshotInfo, SnapshotStore, SnapshotStrategy } from '../snapshot/store.js';
import { removeRamFile, saveTemplate, startFork, type SnapshotContext, type Template } from '../snapshot/template.js';
import { monotonicMs, wallTime } from '../util/clock.js';
import { deferred } from '../util/deferred.js';
import type { WaitOptions } from '../util/deadline.js';
import type { NewVmEvent, VmEvent } from './events.js';
import type { VmFacts } from './facts.js';
import { powerOff, type PoweroffOptions, type PoweroffReport } from './poweroff.js';
import { sysRq } from './sysrq.js';
import { Watch, type WatchSpec } from './watch.js';

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

/** What all vms of one family have in common. */
export interface VmFamily {
  readonly guest: PreparedGuest;
  readonly context: SnapshotContext;
  readonly accelerator: AcceleratorChoice;
  readonly snapshots: SnapshotStore;
}

let vmCount = 0;

/**
 * A virtual machine under control. Get one by `boot()`; end it by `close()` or `await using`. After a `restore` the same
 * object, consoles and shells go on working with the machine of that moment.
 */
export class Vm implements AsyncDisposable {
  readonly name: string;
  /** The guest's serial console, ttyS0. */
  readonly console: Console;
  readonly #family: VmFamily;
  readonly #virtio: ReadonlyMap<string, Channel>;
  readonly #shell: OutOfBandShell | undefined;
  readonly #sampling: OutOfBandShell | undefined;
  readonly #events = new EventEmitter<{ event: [VmEvent] }>();
  readonly #watches = new Set<Watch>();
  readonly #directory: string;
  #machine: Machine;
  #ended = deferred<QmpilotError>();
  #folders = 0;
  #failure: QmpilotError | undefined;
  /** Set while QEMU's end is wanted. */
  #endExpected = false;
  #closing: Promise<void> | undefined;

  /** @internal Vms are made by `boot` and `fork`. */
  constructor(family: VmFamily, machine: Machine, directory: string) {
    vmCount += 1;
    this.name = `${family.guest.name}-${vmCount}`;
    this.#family = family;
    this.#machine = machine;
    this.#directory = directory;
    this.console = new Console(new Channel('ttyS0'));
    this.#virtio = new Map(family.guest.virtioConsoles.map((name) => [name, new Channel(name)]));
    this.#shell = this.#shellOn(family.guest.shell);
    this.#sampling = this.#shellOn(family.guest.samplingShell);
    this.#attach(machine);
  }

  /** Resolves, with the reason, when QEMU ends although nobody asked it to. A restore begins a new one. */
  get ended(): Promise<QmpilotError> {
    return this.#ended.promise;
  }

  /** The session with QEMU; another one after a restore. */
  get qmp(): QmpClient {
    return this.#machine.qmp;
  }

  /** QEMU's process. */
  get pid(): number {
    return this.#machine.process.pid;
  }

  get facts(): VmFacts {
    const { guest, context, accelerator } = this.#family;
    const { spec, process } = this.#machine;
    return {
      qemu: { path: context.binary.path, version: context.binary.version.text },
      accelerator,
      machine: spec.machine,
      cpu: spec.cpu,
      cpus: spec.cpus,
      memoryMiB: spec.memoryMiB,
      guest: { name: guest.name, key: guest.key, ...(guest.kernelRelease && { kernelRelease: guest.kernelRelease }) },
      commandLine: process.args,
    };
  }

  get snapshots(): readonly SnapshotInfo[] {
    return this.#family.snapshots.list();
  }

  /**
   * The guest's out-of-band root shell, on a virtio console of its own.
   * @throws {USAGE} when the guest has none
   */
  get shell(): OutOfBandShell {
    if (this.#shell) return this.#shell;
    throw new QmpilotError('USAGE', `the guest ${this.#family.guest.name} has no out-of-band shell`, {
      hint: 'start a bash on /dev/hvc0 in the guest and name hvc0 as `shell` in its description; vm.console works without',
    });
  }

  /** The shell that detectors use, so that they do not wait for a command of `exec`; undefined when the guest has none. */
  get samplingShell(): OutOfBandShell | undefined {
    return this.#sampling;
  }

  /** Calls `listener` for everything that happens to the vm; gives the function that ends it. */
  onEvent(listener: (event: VmEvent) => void): () => void {
    this.#events.on('event', listener);
    return () => void this.#events.off('event', listener);
  }

  /** Runs a command as root in the guest, out of band. Throws what `Shell.exec` throws. */
  async exec(command: string, options?: ExecOptions): Promise<ExecResult> {
    this.#mustRun();
    const result = await this.shell.exec(command, options);
    this.emit({ type: 'exec', command, exitCode: result.exitCode, ms: result.durationMs });
    return result;
  }

  /** The same, for a command that has to succeed. */
  async expectOk(command: string, options?: ExecOptions): Promise<ExecResult> {
    this.#mustRun();
    return this.shell.expectOk(command, options);
  }

  /**
   * Keeps RAM, devices and disks as they are now under a name. The guest goes on afterwards as it was, and for the
   * strategy `template` in a QEMU of its own. When it fails the guest goes on as well.
   * @throws {USAGE} for a name that is taken or not allowed
   * @throws {SNAPSHOT} when QEMU cannot save this machine, with its reason
   * @throws {NO_SPACE} {TIMEOUT} {ABORTED} {QEMU_EXITED}
   */
  async snapshot(name: string, options: SnapshotOptions = {}): Promise<SnapshotInfo> {
    this.#mustRun();
    this.#family.snapshots.checkNew(name);
    const begun = monotonicMs();
    const wasRunning = await this.#isRunning();
    const strategy = options.strategy ?? 'template';
    let pausedMs: number;
    if (strategy === 'internal') {
      const internal = await saveInternal(this.#machine, options);
      pausedMs = monotonicMs() - begun;
      this.#family.snapshots.add({ name, strategy, savedAt: wallTime(), pausedMs, internal });
    } else {
      const template = await this.#saveTemplate(wasRunning, options);
      pausedMs = template.pausedMs;
      this.#family.snapshots.add({ name, strategy, savedAt: wallTime(), pausedMs, template });
      await this.#become(template, options);
      if (wasRunning) await this.qmp.executeUntyped('cont', undefined, options);
    }
    this.emit({ type: 'snapshot', name, ms: monotonicMs() - begun });
    return { name, strategy, savedAt: wallTime(), pausedMs };
  }

  /**
   * Puts this vm back to where the snapshot was made, whatever state it is in, and lets it run. Watches end; consoles and
   * shells go on with the restored guest.
   * @throws {SNAPSHOT} when there is no such snapshot, or it does not load
   * @throws {CLOSED} {TIMEOUT} {ABORTED}
   */
  async restore(name: string, options: RestoreOptions = {}): Promise<void> {
    this.#mustBeOpen();
    const begun = monotonicMs();
    const snapshot = this.#family.snapshots.get(name);
    await this.#stopWatches();
    if (snapshot.strategy === 'internal') {
      await loadInternal(this.#machine, snapshot.internal, options);
      this.#attachConsoles(this.#machine);
    } else {
      await this.#become(snapshot.template, options);
    }
    await this.qmp.executeUntyped('cont', undefined, options);
    this.emit({ type: 'restored', name, ms: monotonicMs() - begun });
    this.#setClock(options);
  }

  /**
   * New vms that start where the snapshot was made; they run, share RAM with it until they write, and can restore the same
   * snapshots. Each has to be closed by itself.
   * @throws {SNAPSHOT} for an internal snapshot, or one that does not load
   * @throws {NO_SPACE} {TIMEOUT} {ABORTED}: no fork is left then
   */
  async fork(name: string, options: ForkOptions = {}): Promise<Vm[]> {
    this.#mustBeOpen();
    const snapshot = this.#family.snapshots.get(name);
    if (snapshot.strategy === 'internal') {
      throw new QmpilotError('SNAPSHOT', `the snapshot ${name} is internal to one QEMU and cannot be forked`, { hint: "make it with the strategy 'template'" });
    }
    const count = options.count ?? 1;
    if (!Number.isInteger(count) || count < 0) throw new QmpilotError('USAGE', `count: ${count} is no number of forks`);
    const starts = await Promise.allSettled(Array.from({ length: count }, () => this.#forkOne(snapshot.template, options)));
    const vms = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
    const failed = starts.find((start) => start.status === 'rejected');
    if (!failed) return vms;
    await Promise.all(vms.map((vm) => vm.close()));
    throw failed.reason;
  }

  /** Removes a snapshot; forks that run on it go on. */
  async removeSnapshot(name: string): Promise<void> {
    await this.#family.snapshots.remove(name);
  }

  /** Starts detectors on this guest. */
  watch(spec: WatchSpec = {}, options: { readonly signal?: AbortSignal | undefined } = {}): Watch {
    this.#mustRun();
    const watch = new Watch(this, spec, options.signal);
    this.#watches.add(watch);
    watch.onFinding((finding) => this.emit({ type: 'finding', finding }));
    return watch;
  }

  /**
   * Asks the guest to power off and follows it to the end, or to `timeout` (default 3 min): `outcome` says which. A stall
   * is data; QEMU is left as it is then.
   * @throws {ABORTED} {QEMU_EXITED} {SHELL_LOST}
   */
  async poweroff(options: PoweroffOptions = {}): Promise<PoweroffReport> {
    this.#mustRun();
    this.#endExpected = true;
    const report = await powerOff(this, this.#machine, options).finally(() => {
      if (!this.#machine.process.exit) this.#endExpected = false;
    });
    if (report.finding) this.emit({ type: 'finding', finding: report.finding });
    return report;
  }

  /**
   * Has the kernel act on a SysRq key (`w`: dump blocked tasks, `t`: all tasks, ...), and gives the console lines it printed.
   * @throws {TIMEOUT} when the kernel does not answer within 30 s
   * @throws {SHELL_LOST} {ABORTED}
   */
  sysrq(key: string, options: WaitOptions = {}): Promise<string[]> {
    this.#mustRun();
    return sysRq(this, key, options);
  }

  /** Stops the guest's CPUs. */
  async pause(options: WaitOptions = {}): Promise<void> {
    this.#mustRun();
    await this.qmp.executeUntyped('stop', undefined, options);
  }

  async resume(options: WaitOptions = {}): Promise<void> {
    this.#mustRun();
    await this.qmp.executeUntyped('cont', undefined, options);
  }

  /** Kills QEMU and removes everything of this vm from the host; snapshots go with the last vm of the family. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal */
  emit(event: NewVmEvent): void {
    this.#events.emit('event', { at: monotonicMs(), ...event });
  }

  async #close(): Promise<void> {
    this.#endExpected = true;
    await this.#stopWatches();
    this.#shell?.close();
    this.#sampling?.close();
    await this.#machine.process.kill();
    this.console.close();
    this.console.channel.close();
    for (const channel of this.#virtio.values()) channel.close();
    await this.#dropRam(this.#machine);
    await rm(this.#directory, { recursive: true, force: true });
    await this.#family.snapshots.release();
    await releaseHostDirectories();
    this.#events.removeAllListeners();
  }

  async #forkOne(template: Template, options: RestoreOptions): Promise<Vm> {
    const directories = await acquireHostDirectories();
    const store = this.#family.snapshots.retain();
    const directory = join(directories.disk, `fork-${(forkCount += 1)}`);
    try {
      await mkdir(directory, { mode: 0o700 });
      const machine = await startFork(template, { ...options, name: 'fork', binary: this.#family.context.binary, directory });
      const vm = new Vm(this.#family, machine, directory);
      await vm.qmp.executeUntyped('cont', undefined, options);
      vm.#setClock(options);
      return vm;
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      await store.release();
      await releaseHostDirectories();
      throw error;
    }
  }

  async #saveTemplate(wasRunning: boolean, options: WaitOptions): Promise<Template> {
    this.#endExpected = true;
    const machine = this.#machine;
    try {
      return await saveTemplate(machine, this.#family.context, options);
    } catch (error) {
      if (!machine.process.exit && wasRunning) await machine.qmp.executeUntyped('cont').catch(() => {});
      if (machine.process.exit) this.#onExit(machine, true);
      throw error;
    } finally {
      this.#endExpected = false;
    }
  }

  /** Replaces this vm's machine by a fork of the template, loaded and paused. */
  async #become(template: Template, options: WaitOptions): Promise<void> {
    const old = this.#machine;
    const directory = join(this.#directory, `m${(this.#folders += 1)}`);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    this.#endExpected = true;
    try {
      await old.process.kill();
      await old.qmp.close();
      await this.#dropRam(old);
      await rm(old.directory, { recursive: true, force: true });
      this.#machine = await startFork(template, { ...options, name: this.name, binary: this.#family.context.binary, directory });
    } finally {
      this.#endExpected = false;
    }
    if (this.#failure) this.#ended = deferred();
    this.#failure = undefined;
    this.#attach(this.#machine);
  }

  /** A RAM file that its machine wrote to, and that no template has taken over, goes with the machine. */
  async #dropRam({ spec }: Machine): Promise<void> {
    if (spec.ram.share !== true || spec.ram.path === undefined) return;
    if (!this.#family.snapshots.holdsRam(spec.ram.path)) await removeRamFile(spec.ram.path);
  }

  #attach(machine: Machine): void {
    this.#attachConsoles(machine);
    machine.qmp.on(({ event, data }) => {
      if (machine === this.#machine) this.emit({ type: 'qmp', event, data });
    });
    void machine.process.exited.then(() => this.#onExit(machine, false));
    this.emit({ type: 'started', pid: machine.process.pid });
  }

  #attachConsoles(machine: Machine): void {
    this.console.channel.attach(machine.serial);
    let index = 0;
    for (const channel of this.#virtio.values()) {
      const stream = machine.virtio[index++];
      if (stream) channel.attach(stream);
    }
  }

  #onExit(machine: Machine, sure: boolean): void {
    const { exit } = machine.process;
    if (!exit || (!sure && (machine !== this.#machine || this.#endExpected)) || this.#failure) return;
    this.#failure = exitError('it was running', exit, machine.process.stderr(), machine.process.pid);
    this.emit({ type: 'ended', message: this.#failure.message });
    this.#ended.resolve(this.#failure);
  }

  async #stopWatches(): Promise<void> {
    for (const watch of this.#watches) await watch.stop();
    this.#watches.clear();
  }

  async #isRunning(): Promise<boolean> {
    const { running } = await this.qmp.executeUntyped<{ running: boolean }>('query-status');
    return running;
  }

  #shellOn(console: string | undefined): OutOfBandShell | undefined {
    const channel = console === undefined ? undefined : this.#virtio.get(console);
    return channel && new OutOfBandShell(channel);
  }

  /** Unawaited: whoever needs the time at once asks for it on the same shell, behind this. */
  #setClock({ clock = 'host' }: RestoreOptions): void {
    if (clock === 'keep') return;
    const now = (Date.now() / 1000).toFixed(3);
    void this.#sampling?.exec(`date -u -s @${now}`, { timeout: '20s' }).catch(() => {
      // A guest too stuck to set its clock shows that to the detectors.
    });
  }

  #mustBeOpen(): void {
    if (this.#closing) throw new QmpilotError('CLOSED', `the vm ${this.name} was closed`);
  }

  #mustRun(): void {
    this.#mustBeOpen();
    if (this.#failure) throw new QmpilotError(this.#failure.code, this.#failure.message, { cause: this.#failure, hint: 'restore a snapshot, or boot again' });
  }
}

let forkCount = 0;
