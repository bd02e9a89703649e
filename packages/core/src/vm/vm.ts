import { rm } from 'node:fs/promises';
import { EventEmitter } from 'eventemitter3';
import type { Console } from '../console/console.js';
import type { KillEffect } from '../detect/threads/kill-effect.js';
import { QmpilotError } from '../errors.js';
import { releaseHostDirectories } from '../qemu/host/directories.js';
import type { Machine } from '../qemu/process/machine.js';
import type { QmpClient } from '../qmp/client.js';
import type { OutOfBandShell } from '../shell/console-shell/console-shell.js';
import { requireSuccess, type ExecResult, type Shell } from '../shell/shell.js';
import type { SnapshotBlocker } from '../snapshot/blockers.js';
import type { SnapshotInfo } from '../snapshot/store.js';
import { monotonicMs } from '../util/clock.js';
import type { WaitOptions } from '../util/deadline.js';
import { copyIn } from './copy/copy-in.js';
import { copyOut } from './copy/copy-out.js';
import type { CopyOptions, CopyOutOptions, CopyReport } from './copy/copy.js';
import type { NewVmEvent, VmEvent } from './events.js';
import type { VmFacts } from './facts.js';
import type { VmFamily } from './family.js';
import { GuestActions } from './guest-actions.js';
import { sysRq, type SysrqOptions } from './input/sysrq.js';
import { diagnose, type DiagnoseOptions, type VmDiagnosis } from './inspect/diagnose.js';
import { killAndSee, type KillOptions } from './inspect/kill.js';
import { LifeRecorder } from './inspect/life-recorder.js';
import { MachineSlot } from './machine/machine-slot.js';
import { powerOff, type PoweroffOptions, type PoweroffReport } from './power/poweroff.js';
import { VmShells, type OpenShellOptions, type VmExecOptions } from './shells/vm-shells.js';
import { forkAll } from './snapshots/fork.js';
import { SnapshotPool, type PoolOptions } from './snapshots/pool.js';
import { NONCE_FILE } from './snapshots/reseed.js';
import type { Snapshot } from './snapshots/snapshot.js';
import { VmSnapshots, type ForkOptions, type RestoreOptions, type SnapshotOptions } from './snapshots/vm-snapshots.js';
import { Watch, type WatchSpec } from './watch/watch.js';

let vmCount = 0;

/**
 * A virtual machine under control. Get one by `boot()`; end it by `close()` or `await using`. After a `restore` the same
 * object, consoles and shells go on working with the machine of that moment.
 */
export class Vm extends GuestActions implements AsyncDisposable {
  readonly name: string;
  /** The guest's serial console, ttyS0. */
  readonly console: Console;
  readonly #family: VmFamily;
  readonly #slot: MachineSlot;
  readonly #snapshots: VmSnapshots;
  readonly #shells: VmShells;
  readonly #events = new EventEmitter<{ event: [VmEvent] }>();
  readonly #life: LifeRecorder;
  readonly #watches = new Set<Watch>();
  /** The guest as it will be after the restores asked for so far: fires when the next one puts another in its place. */
  #guest = new AbortController();
  /** The guests before it that are still there, the oldest first. */
  readonly #guests = new Set([this.#guest]);
  readonly #directory: string;
  #closing: Promise<void> | undefined;

  /** @internal Vms are made by `boot` and `fork`. */
  constructor(family: VmFamily, machine: Machine, directory: string) {
    super();
    vmCount += 1;
    this.name = `${family.guest.name}-${vmCount}`;
    this.#family = family;
    this.#directory = directory;
    const emit = (event: NewVmEvent) => this.emit(event);
    this.#slot = new MachineSlot(family.guest, machine, emit);
    this.#snapshots = new VmSnapshots({ name: this.name, family, slot: this.#slot, directory, emit });
    this.#shells = new VmShells(family.guest, this.#slot);
    this.console = this.#slot.console;
    this.console.onTyped((typed) => emit({ type: 'typed', into: 'console', ...typed }));
    this.#life = new LifeRecorder(this.console, (listener) => this.onEvent(listener));
  }

  /** Resolves, with the reason, when QEMU ends although nobody asked it to. A restore begins a new one. */
  get ended(): Promise<QmpilotError> {
    return this.#slot.ended;
  }

  /** The session with QEMU; another one after a restore. */
  get qmp(): QmpClient {
    return this.#slot.machine.qmp;
  }

  /** QEMU's process. */
  get pid(): number {
    return this.#slot.machine.process.pid;
  }

  /** To seed a workload with: another number for each fork, and after each restore; the guest has it in /run/qmpilot/seed. */
  get seed(): number {
    return this.#snapshots.seed;
  }

  /** Resolves once a guest that was put back has its clock set and random numbers that its siblings do not have; never rejects. */
  get settled(): Promise<void> {
    return this.#snapshots.settled;
  }

  get facts(): VmFacts {
    const { guest, context, accelerator } = this.#family;
    const { spec, process } = this.#slot.machine;
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
    if (this.#slot.shell) return this.#slot.shell;
    throw new QmpilotError('USAGE', `the guest ${this.#family.guest.name} has no out-of-band shell`, {
      hint: 'start a bash on /dev/hvc0 in the guest and name hvc0 as `shell` in its description; vm.console works without',
    });
  }

  /** The shell that detectors use, so that they do not wait for a command of `exec`; undefined when the guest has none. */
  get samplingShell(): OutOfBandShell | undefined {
    return this.#slot.sampling;
  }

  /** Calls `listener` for everything that happens to the vm; gives the function that ends it. */
  onEvent(listener: (event: VmEvent) => void): () => void {
    this.#events.on('event', listener);
    return () => void this.#events.off('event', listener);
  }

  /**
   * Runs a command as root in the guest by the best shell that answers; `via` of the result says which. Throws what
   * `Shell.exec` throws, and USAGE when the guest has no shell at all.
   */
  async exec(command: string, options: VmExecOptions = {}): Promise<ExecResult> {
    await this.#ready(options);
    const result = await this.#shells.exec(command, options);
    this.emit({ type: 'exec', command, exitCode: result.exitCode, ms: result.durationMs });
    return result;
  }

  /** The same, for a command that has to succeed. */
  async expectOk(command: string, options?: VmExecOptions): Promise<ExecResult> {
    return requireSuccess(await this.exec(command, options));
  }

  /** The shell that `exec` would take, to stream by. Throws what `exec` throws. */
  async bestShell(options: Omit<OpenShellOptions, 'timeout'> = {}): Promise<Shell> {
    await this.#ready(options);
    return this.#shells.best(options);
  }

  /**
   * A further shell beside the one of `exec`, for a second command at the same time, or when the first one hangs. Close it.
   * @throws {USAGE} when the guest offers none
   * @throws {SHELL_LOST} when it does not answer
   */
  async openShell(options: OpenShellOptions = {}): Promise<Shell> {
    await this.#ready(options);
    return this.#shells.open(options);
  }

  /**
   * Copies a file or tree of the host into the guest, where `to` is the whole name it gets. Modes, times and links are kept; the
   * owner is root. A file replaces a file; nothing else is replaced. What failed or was cancelled leaves nothing behind.
   * @throws {USAGE} {COPY_FAILED} {TIMEOUT} {ABORTED} {SHELL_LOST}
   */
  async copyIn(from: string, to: string, options: CopyOptions = {}): Promise<CopyReport> {
    await this.#ready(options);
    return copyIn(await this.#shells.best(options), from, to, options);
  }

  /**
   * The same, out of the guest. Devices, and links that lead out of the tree, are left out: `skipped` of the report names them; the right
   * of others to write is not copied.
   * @throws {USAGE} {COPY_FAILED} {TIMEOUT} {ABORTED} {SHELL_LOST} {NO_SPACE}
   * @throws {OUTPUT_LIMIT} for an archive of more than `maxBytes` (8 GiB by default)
   */
  async copyOut(from: string, to: string, options: CopyOutOptions = {}): Promise<CopyReport> {
    await this.#ready(options);
    return copyOut(await this.#shells.best(options), from, to, options);
  }

  /**
   * Why `vm.snapshot(name, options)` would fail now: a share that is mounted, a device of the host, no room for RAM; empty when nothing
   * is known to stand in its way. Nothing is tried.
   */
  snapshotBlockers(options: SnapshotOptions = {}): Promise<readonly SnapshotBlocker[]> {
    return this.#snapshots.blockers(options);
  }

  /**
   * Keeps RAM, devices and disks as they are now under a name. The guest goes on afterwards as it was, and for the
   * strategy `template` in a QEMU of its own. When it fails the guest goes on as well.
   * @throws {USAGE} for a name that is taken or not allowed
   * @throws {SNAPSHOT} when QEMU cannot save this machine, with its reason
   * @throws {NO_SPACE} {TIMEOUT} {ABORTED} {QEMU_EXITED}
   */
  async snapshot(name: string, options: SnapshotOptions = {}): Promise<Snapshot> {
    this.mustRun();
    return this.#snapshots.save(name, options);
  }

  /**
   * Puts this vm back to where the snapshot was made, whatever state it is in, and lets it run. Watches end; consoles and
   * shells go on with the restored guest.
   * @throws {USAGE} when there is no such snapshot
   * @throws {SNAPSHOT} when it does not load
   * @throws {CLOSED} {TIMEOUT} {ABORTED}
   */
  async restore(name: string, options: RestoreOptions = {}): Promise<void> {
    this.#mustBeOpen();
    this.#family.snapshots.get(name);
    const next = new AbortController();
    this.#guest = next;
    this.#guests.add(next);
    await this.#snapshots.restore(name, options, () => this.#leaveGuests(next));
  }

  /**
   * Asks the guest itself which snapshot it was put back to, by a number that is held in its RAM alone: undefined when it was rebooted
   * since, or never was in one. Throws what `exec` throws.
   */
  async restoredFrom(options: WaitOptions = {}): Promise<SnapshotInfo | undefined> {
    return this.#snapshots.whose((await this.exec(`cat ${NONCE_FILE}`, options)).stdout.trim());
  }

  /**
   * New vms that start where the snapshot was made; they run, share RAM with it until they write, and can restore the same
   * snapshots. Each has to be closed by itself.
   * @throws {SNAPSHOT} for an internal snapshot, or one that does not load
   * @throws {NO_SPACE} {TIMEOUT} {ABORTED}: no fork is left then
   */
  async fork(name: string, options: ForkOptions = {}): Promise<Vm[]> {
    this.#mustBeOpen();
    return forkAll(this.#family, name, options);
  }

  /**
   * Forks of a snapshot, kept loaded and paused: taking one costs milliseconds. The pool has to be closed.
   * @throws {USAGE} when there is no such snapshot
   * @throws {USAGE} for a size that is not 1 or more
   */
  pool(name: string, options: PoolOptions = {}): SnapshotPool {
    this.#mustBeOpen();
    return new SnapshotPool(this.#family, name, options);
  }

  /** Removes a snapshot; forks that run on it go on. */
  async removeSnapshot(name: string): Promise<void> {
    await this.#family.snapshots.remove(name);
  }

  /** Starts detectors on this guest. */
  watch(spec: WatchSpec = {}, options: { readonly signal?: AbortSignal | undefined } = {}): Watch {
    this.mustRun();
    const watch = new Watch(this, spec, options.signal);
    this.#watches.add(watch);
    watch.onFinding((finding) => this.emit({ type: 'finding', finding }));
    return watch;
  }

  /**
   * Asks the guest to power off and follows it to the end, or to `timeout` (default 3 min): `outcome` says which. A stall
   * is data; QEMU is left as it is then.
   * @throws {ABORTED} also when the vm is restored meanwhile
   * @throws {QEMU_EXITED} {SHELL_LOST}
   */
  async poweroff(options: PoweroffOptions = {}): Promise<PoweroffReport> {
    const restored = this.#guest.signal;
    await this.#ready(options);
    const signal = AbortSignal.any([restored, ...(options.signal ? [options.signal] : [])]);
    const inTurn = <T>(task: () => Promise<T>) => this.#snapshots.inTurn('the request to power off', { signal }, task);
    const report = await this.#slot
      .expectEnd(() => powerOff({ vm: this, slot: this.#slot, inTurn }, { ...options, signal }))
      .catch((error: unknown) => {
        if (!restored.aborted || options.signal?.aborted) throw error;
        throw new QmpilotError('ABORTED', `the vm ${this.name} was restored while it was to power off`, {
          cause: error,
        });
      });
    if (report.finding) this.emit({ type: 'finding', finding: report.finding });
    return report;
  }

  /**
   * Has the kernel act on a SysRq key (`w`: dump blocked tasks, `t`: all tasks, ...), and gives the console lines it printed.
   * A guest whose shell does not answer is asked by its keyboard, over QMP.
   * @throws {TIMEOUT} when the kernel does not answer within 30 s
   * @throws {COMMAND_FAILED} when it refuses the key
   * @throws {SHELL_LOST} {ABORTED}
   */
  sysrq(key: string, options: SysrqOptions = {}): Promise<string[]> {
    this.mustRun();
    return sysRq(this, key, options);
  }

  /**
   * Tells why nothing is heard of the guest: panicked, stopped, spinning, idle, QEMU gone, or alive after all.
   * @throws {ABORTED}
   */
  diagnose(options: DiagnoseOptions = {}): Promise<VmDiagnosis> {
    this.#mustBeOpen();
    return diagnose(this, this.#slot.machine, this.#life, options);
  }

  /** Sends SIGKILL to processes of the guest, and says what it did to each. Throws what `exec` throws. */
  kill(pids: number | readonly number[], options: KillOptions = {}): Promise<KillEffect[]> {
    this.mustRun();
    return killAndSee(this.samplingShell ?? this.shell, typeof pids === 'number' ? [pids] : pids, options);
  }

  /** Stops the guest's CPUs. */
  async pause(options: WaitOptions = {}): Promise<void> {
    this.mustRun();
    await this.#snapshots.inTurn('the pause', options, (wait) => this.qmp.execute('stop', undefined, wait));
  }

  /** Lets them run again. @throws {TIMEOUT} {ABORTED} */
  async resume(options: WaitOptions = {}): Promise<void> {
    this.mustRun();
    await this.#snapshots.inTurn('the guest to run on', options, (wait) => this.qmp.execute('cont', undefined, wait));
  }

  /** Kills QEMU and removes everything of this vm from the host; snapshots go with the last vm of the family. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closes it: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal Why there is no running QEMU; undefined while there is one. */
  get failure(): QmpilotError | undefined {
    return this.#slot.failure;
  }

  /** @internal Lets a fork that was loaded run. */
  async begin(options: RestoreOptions): Promise<void> {
    await this.#snapshots.begin(options);
  }

  /** @internal */
  emit(event: NewVmEvent): void {
    this.#events.emit('event', { at: monotonicMs(), ...event });
  }

  async #close(): Promise<void> {
    this.#snapshots.cancel();
    await this.#stopWatches();
    this.#shells.close();
    // A job that was cancelled must not go on in a QEMU that does.
    if (!this.#slot.machine.process.isOurs) await this.#snapshots.idle();
    await this.#snapshots.leaveForeignDisks();
    await this.#slot.close();
    await this.#snapshots.idle();
    await this.#snapshots.dispose(this.#slot.machine);
    await rm(this.#directory, { recursive: true, force: true });
    await this.#family.snapshots.release();
    await releaseHostDirectories();
    this.#events.removeAllListeners();
  }

  /** Waits for a restore that was asked for before. */
  async #ready(options: WaitOptions): Promise<void> {
    this.#mustBeOpen();
    await this.#snapshots.restored(options);
    this.mustRun();
  }

  async #leaveGuests(next: AbortController): Promise<void> {
    for (const guest of this.#guests) {
      if (guest === next) break;
      this.#guests.delete(guest);
      guest.abort();
    }
    await this.#stopWatches();
  }

  async #stopWatches(): Promise<void> {
    for (const watch of this.#watches) await watch.stop();
    this.#watches.clear();
  }

  #mustBeOpen(): void {
    if (this.#closing) throw new QmpilotError('CLOSED', `the vm ${this.name} was closed`);
  }

  protected override mustRun(): void {
    this.#mustBeOpen();
    this.#slot.mustRun();
  }
}
