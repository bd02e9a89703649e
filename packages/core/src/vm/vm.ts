import { rm } from 'node:fs/promises';
import { inspect, type InspectOptions } from 'node:util';
import type { Console } from '../console/console.js';
import type { KillEffect } from '../detect/threads/kill-effect.js';
import type { QmpilotError } from '../errors.js';
import type { DiskSpec } from '../qemu/command-line/machine-spec.js';
import { releaseHostDirectories } from '../qemu/host/directories.js';
import type { Machine } from '../qemu/process/machine.js';
import type { VmFacts } from '../qemu/vm-facts.js';
import type { QmpClient } from '../qmp/client.js';
import type { ConsoleShell } from '../shell/console-shell/console-shell.js';
import { type Command } from '../shell/exec-options.js';
import { describeCommand, requireFailure, requireSuccess, type ExecResult } from '../shell/exec-result.js';
import { checkVmCommand as checkCommand } from '../shell/exec-schema.js';
import type { ExecStream } from '../shell/exec-stream.js';
import { type Shell } from '../shell/shell.js';
import type { SnapshotBlocker } from '../snapshot/blockers.js';
import type { OccupiedConsoles, SnapshotInfo } from '../snapshot/store.js';
import type { WaitOptions } from '../util/async/deadline.js';
import { withinLimit } from '../util/async/limit.js';
import { PORT, WAIT_OPTIONS } from '../util/validation/schemas.js';
import { validate } from '../util/validation/validate.js';
import { VmContext } from './context.js';
import { checkCopy } from './copy/check-copy.js';
import { copyIn } from './copy/copy-in.js';
import { copyOut } from './copy/copy-out.js';
import type { CopyOptions, CopyOutOptions, CopyReport } from './copy/copy.js';
import type { VmEvent } from './events.js';
import { factsOf } from './facts.js';
import type { ForkableFamily } from './family.js';
import type { Keyboard } from './input/keyboard.js';
import { sysRq, type SysrqOptions } from './input/sysrq.js';
import { openGdbServer, type GdbServer } from './inspect/debuggers/gdb-server.js';
import { readKernelImage, type KernelImage } from './inspect/debuggers/kernel-image.js';
import { diagnose, type DiagnoseOptions, type VmDiagnosis } from './inspect/diagnose.js';
import { dump, DUMP_OPTIONS, type DumpOptions } from './inspect/dump/dump.js';
import { explain, EXPLAIN_OPTIONS, type ExplainOptions, type VmExplanation } from './inspect/explain/explain.js';
import { killAndReport, type KillOptions } from './inspect/kill-and-report.js';
import { takeScreenshot, type ScreenshotOptions } from './inspect/screenshot.js';
import { readStacks, type ProcessStacks, type StacksOptions } from './inspect/stacks.js';
import type { VmState } from './machine/machine-life.js';
import type { ForwardedPort } from './network/port-forwards.js';
import { POWEROFF_OPTIONS } from './power/poweroff-options.js';
import { powerOff, type PoweroffOptions, type PoweroffReport } from './power/poweroff.js';
import { reboot } from './power/reboot.js';
import { startAgain } from './power/start-again.js';
import type { GuestProcess, SpawnOptions } from './shells/guest-process.js';
import { checkShellOptions, type OpenShellOptions, type VmExecOptions } from './shells/shell-options.js';
import { VmShells } from './shells/vm-shells.js';
import { fork } from './snapshots/fork.js';
import { listBlockers } from './snapshots/list-blockers.js';
import type {
  BeginOptions,
  ForkManyOptions,
  ForkOptions,
  RestoreOptions,
  SnapshotOptions,
} from './snapshots/options.js';
import { FORK_OPTIONS, RESTORE_OPTIONS, SNAPSHOT_OPTIONS } from './snapshots/options.js';
import { SnapshotPool, type PoolOptions, type PoolTakeOptions } from './snapshots/pool.js';
import { NONCE_FILE } from './snapshots/reseed.js';
import { Snapshot } from './snapshots/snapshot.js';
import { VmSnapshots } from './snapshots/vm-snapshots.js';
import type { UntilOptions } from './wait/combine.js';
import type { CommandWait } from './wait/command.js';
import type { FileWait } from './wait/file.js';
import type { PortWait } from './wait/port.js';
import type { TextWait } from './wait/text.js';
import type { UnitWait } from './wait/unit.js';
import { VmWaits } from './wait/vm-waits.js';
import { runWait, type Wait, type WaitForOptions } from './wait/wait.js';
import type { WatchSpec } from './watch/watch-spec.js';
import { Watch } from './watch/watch.js';

/** Characters of a command's output in its event. */
const MAX_EVENT_OUTPUT = 1000;

/** A snapshot that makes `Vm`s. */
export type VmSnapshot = Snapshot<Vm>;
/** A pool of `Vm`s. */
export type VmSnapshotPool = SnapshotPool<Vm>;
/** Options of `pool.take()`. */
export type TakeOptions = PoolTakeOptions<Vm>;

let vmCount = 0;

/**
 * A virtual machine under control. Get one by `boot()`; end it by `close()` or `await using`. After a `restore` the same
 * object, consoles and shells work with the restored machine.
 */
export class Vm implements AsyncDisposable {
  readonly #family: ForkableFamily<Vm>;
  readonly #directory: string;
  readonly #context: VmContext;
  readonly #snapshots: VmSnapshots;
  readonly #shells: VmShells;
  readonly #waits: VmWaits;
  readonly #watches = new Set<Watch>();
  #closing: Promise<void> | undefined;

  /** @internal VMs are made by `boot` and `fork`. */
  constructor(family: ForkableFamily<Vm>, machine: Machine, directory: string) {
    vmCount += 1;
    this.#family = family;
    this.#directory = directory;
    this.#context = new VmContext(`${family.guest.name}-${vmCount}`, family, machine);
    this.#snapshots = new VmSnapshots(this.#context, directory, {
      onLeave: () => this.#stopWatches(),
      occupied: () => this.#shells.occupied,
    });
    this.#shells = new VmShells(family.guest, this.#context.slot);
    this.#waits = new VmWaits((wait, options) => this.#await(wait, options));
  }

  get name(): string {
    return this.#context.name;
  }

  /** The guest's serial console, ttyS0. */
  get console(): Console {
    return this.#context.console;
  }

  /** The keyboard of the graphical console: tty1 of a Linux guest. */
  get keyboard(): Keyboard {
    return this.#context.keyboard;
  }

  /** Resolves, with the reason, when QEMU ends unexpectedly. A restore replaces the promise. */
  get ended(): Promise<QmpilotError> {
    return this.#context.ended;
  }

  /** The session with QEMU; a restore replaces it. */
  get qmp(): QmpClient {
    return this.#context.qmp;
  }

  /** QEMU's process id. */
  get pid(): number {
    return this.#context.machine.process.pid;
  }

  /** A seed for a workload: a new number for each fork and after each restore. The guest has it in /run/qmpilot/seed. */
  get seed(): number {
    return this.#snapshots.seed;
  }

  /** Resolves once a restored guest has its clock set and random numbers that its siblings do not have; never rejects. */
  get reseeded(): Promise<void> {
    return this.#snapshots.reseeded;
  }

  /** The current state of the machine; see `VmState`. */
  get state(): VmState {
    return this.#context.slot.life.state;
  }

  get facts(): VmFacts {
    return factsOf(this.#family, this.#context.machine);
  }

  get snapshots(): readonly SnapshotInfo[] {
    return this.#family.snapshots.list();
  }

  /**
   * The guest's root shell on a virtio console of its own.
   * @throws {USAGE} when the guest has none
   */
  get shell(): ConsoleShell {
    return this.#context.mainShell();
  }

  /**
   * The shell that detectors use, so that they do not wait for a command of `exec`: on a console of its own where the guest has
   * one, else the same as `shell`.
   * @throws {USAGE} when the guest has none
   */
  get samplingShell(): ConsoleShell {
    return this.#context.probeShell();
  }

  /** Whether the guest has a console shell: `shell` and `samplingShell` throw without one. */
  get hasShell(): boolean {
    const { shell, sampling } = this.#context.slot;
    return (shell ?? sampling) !== undefined;
  }

  /** Calls `listener` for everything that happens to the VM; returns an unsubscribe function. */
  onEvent(listener: (event: VmEvent) => void): () => void {
    return this.#context.onEvent(listener);
  }

  /**
   * Runs a command as root in the guest by the best shell that answers; `via` of the result says which. Throws what
   * `Shell.exec` throws, and USAGE when the guest has no shell at all.
   */
  async exec(command: Command, options: VmExecOptions = {}): Promise<ExecResult> {
    const source = checkCommand(command, options);
    const label = describeCommand(source);
    const result = await this.#limited(`${label} in the guest`, options, (wait) =>
      this.#shells.exec(command, { ...options, ...wait }),
    );
    const end = (bytes: Buffer) => bytes.subarray(-MAX_EVENT_OUTPUT).toString('utf8');
    const output = `${end(result.stdoutBytes)}${end(result.stderrBytes)}`;
    this.#context.emit({
      type: 'exec',
      command: source,
      exitCode: result.exitCode,
      ms: result.durationMs,
      ...(output !== '' && { output: output.slice(-MAX_EVENT_OUTPUT) }),
    });
    return result;
  }

  /** Runs a command that has to succeed. Throws what `exec` throws, and COMMAND_FAILED. */
  async expectOk(command: Command, options?: VmExecOptions): Promise<ExecResult> {
    return requireSuccess(await this.exec(command, options));
  }

  /** Runs a command that has to fail. Throws what `exec` throws. @throws {COMMAND_SUCCEEDED} for exit code 0, with the output */
  async expectFail(command: Command, options?: VmExecOptions): Promise<ExecResult> {
    return requireFailure(await this.exec(command, options));
  }

  /**
   * Runs a command like `exec`, and returns its output as a stream, of any size. Leaving the iteration early kills the command.
   * Throws what `exec` throws; once the command runs, its iteration and its `result` do.
   */
  async stream(command: Command, options: VmExecOptions = {}): Promise<ExecStream> {
    const label = describeCommand(checkCommand(command, options, 'stream'));
    return this.#limited(`${label} in the guest`, { signal: options.signal }, () =>
      this.#shells.stream(command, options),
    );
  }

  /**
   * Runs a program on a terminal of its own, a spare virtio console of the guest: for programs that ask questions, or draw a screen.
   * Resolves when it runs. Close it.
   * @throws {USAGE} when the guest has no spare console left
   * @throws {SHELL_LOST} when it does not answer
   * @throws {TIMEOUT} {ABORTED}
   */
  async spawn(command: Command, options: SpawnOptions = {}): Promise<GuestProcess> {
    return this.#onGuest({}, () => this.#shells.spawn(command, options));
  }

  /** Returns the shell that `exec` would take. Throws what `exec` throws. */
  async bestShell(options: Omit<OpenShellOptions, 'timeout'> = {}): Promise<Shell> {
    checkShellOptions('bestShell', options);
    return this.#limited('a shell of the guest', options, (wait) => this.#shells.best({ ...options, ...wait }));
  }

  /**
   * Opens a further shell beside the one of `exec`, for a second command at the same time, or when the first one hangs. Close it.
   * @throws {USAGE} when the guest offers none
   * @throws {SHELL_LOST} when it does not answer
   */
  async openShell(options: OpenShellOptions = {}): Promise<Shell> {
    checkShellOptions('openShell', options);
    return this.#limited('a further shell', options, (wait) => this.#shells.open({ ...options, ...wait }));
  }

  /**
   * Copies a file or tree of the host into the guest; `to` is the full destination path. Modes, times and links are kept; the
   * owner is root. A file replaces a file; nothing else is replaced. What failed or was cancelled leaves nothing behind.
   * @throws {USAGE} {NOT_FOUND} {IO} {ALREADY_EXISTS} {COPY_FAILED} {TIMEOUT} {ABORTED} {SHELL_LOST}
   */
  async copyIn(from: string, to: string, options: CopyOptions = {}): Promise<CopyReport> {
    checkCopy('copyIn', from, to, options);
    const label = `the copy of ${from} into the guest`;
    return this.#limited(label, options, (wait) =>
      this.#shells.use(label, wait, (shell, signal) =>
        copyIn(shell, from, to, { ...options, ...wait, signal, port: this.#context.slot.copyPort }),
      ),
    );
  }

  /**
   * Copies a file or tree out of the guest. Devices, and links that lead out of the tree, are left out: `skipped` of the report
   * names them; the write permission of others is not copied.
   * @throws {USAGE} {NOT_FOUND} {ALREADY_EXISTS} {COPY_FAILED} {TIMEOUT} {ABORTED} {SHELL_LOST} {NO_SPACE}
   * @throws {OUTPUT_LIMIT} for an archive of more than `maxBytes` (8 GiB by default)
   */
  async copyOut(from: string, to: string, options: CopyOutOptions = {}): Promise<CopyReport> {
    checkCopy('copyOut', from, to, options);
    const label = `the copy of ${from} out of the guest`;
    return this.#limited(label, options, (wait) =>
      this.#shells.use(label, wait, (shell, signal) =>
        copyOut(shell, from, to, { ...options, ...wait, signal, port: this.#context.slot.copyPort }),
      ),
    );
  }

  /**
   * Lists why `vm.snapshot(name, options)` would fail now: a share that is mounted, a device of the host, no room for RAM; empty
   * when no reason is known. Changes nothing.
   */
  snapshotBlockers(options: SnapshotOptions = {}): Promise<readonly SnapshotBlocker[]> {
    return listBlockers(this.#context, options);
  }

  /**
   * Saves RAM, devices and disks as they are now under a name. The guest continues afterwards, with the strategy `template` in a
   * new QEMU. It continues as well when saving fails.
   * @throws {USAGE} for a name that is taken or not allowed
   * @throws {SNAPSHOT} when QEMU cannot save this machine, with its reason
   * @throws {NO_SPACE} {TIMEOUT} {ABORTED} {QEMU_EXITED}
   */
  async snapshot(name: string, options: SnapshotOptions = {}): Promise<VmSnapshot> {
    this.#context.assertRunning();
    validate(SNAPSHOT_OPTIONS, options, 'snapshot: options');
    const info = await this.#context.onGuest(() => this.#snapshots.save(name, options));
    return new Snapshot(this.#family, info, { restore: (restore) => this.restore(name, restore) });
  }

  /**
   * @internal Saves the changed pages of a fork, without a command in the guest.
   * @throws {SNAPSHOT} when all of the RAM would have to be saved
   * @throws {NO_SPACE} {TIMEOUT} {ABORTED} {QEMU_EXITED}
   */
  async checkpoint(name: string, options: SnapshotOptions): Promise<VmSnapshot> {
    this.#context.assertRunning();
    const info = await this.#context.onGuest(() => this.#snapshots.save(name, { ...options, changedOnly: true }));
    return new Snapshot(this.#family, info, { restore: (restore) => this.restore(name, restore) });
  }

  /**
   * Restores the snapshot, whatever state the VM is in, and lets the guest run. Watches end; consoles and shells continue with the
   * restored guest.
   * @throws {USAGE} when there is no such snapshot
   * @throws {SNAPSHOT} when it does not load
   * @throws {CLOSED} {TIMEOUT} {ABORTED}
   */
  async restore(name: string, options: RestoreOptions = {}): Promise<void> {
    this.#context.assertOpen();
    validate(RESTORE_OPTIONS, options, 'restore: options');
    await this.#snapshots.restore(name, options);
  }

  /**
   * Asks the guest which snapshot it was restored from, by a number that is only in its RAM: undefined when it was rebooted since,
   * or never restored. Throws what `exec` throws.
   */
  async restoredFrom(options: WaitOptions = {}): Promise<SnapshotInfo | undefined> {
    return this.#snapshots.whose((await this.exec(`cat ${NONCE_FILE}`, options)).stdout.trim());
  }

  /**
   * Makes a VM that starts where the snapshot was made, or with `count` an array of VMs. Each runs, shares RAM with the snapshot
   * until it writes, and can restore the same snapshots. The caller closes each of them.
   * @throws {SNAPSHOT} for an internal snapshot, or one that does not load
   * @throws {NO_SPACE} {TIMEOUT} {ABORTED}: no fork is left then
   */
  async fork(name: string, options?: ForkOptions): Promise<Vm>;
  async fork(name: string, options: ForkManyOptions): Promise<Vm[]>;
  async fork(name: string, options: ForkOptions | ForkManyOptions = {}): Promise<Vm | Vm[]> {
    this.#context.assertOpen();
    validate(FORK_OPTIONS, options, 'fork: options');
    return fork(this.#family, name, options);
  }

  /**
   * Keeps forks of a snapshot loaded and paused: taking one costs milliseconds. The caller closes the pool.
   * @throws {NOT_FOUND} when there is no such snapshot
   * @throws {USAGE}
   */
  pool(name: string, options: PoolOptions = {}): VmSnapshotPool {
    this.#context.assertOpen();
    return new SnapshotPool(this.#family, name, options);
  }

  /** Removes a snapshot; forks that run on it continue. @throws {NOT_FOUND} when there is no such snapshot */
  async removeSnapshot(name: string): Promise<void> {
    await this.#family.snapshots.remove(name);
  }

  /** Starts detectors on this guest. */
  watch(spec: WatchSpec = {}, options: { readonly signal?: AbortSignal | undefined } = {}): Watch {
    this.#context.assertRunning();
    const watch = new Watch(this.#context, spec, options.signal);
    this.#watches.add(watch);
    watch.onFinding((finding) => this.#context.emit({ type: 'finding', finding }));
    return watch;
  }

  /**
   * Asks the guest to power off and follows it to the end, or to `timeout` (default 3 min): `outcome` says which. A stall
   * is data; QEMU is left as it is then. Afterwards every method rejects with CLOSED, until a restore.
   * @throws {ABORTED} also when the VM is restored meanwhile
   * @throws {SHELL_LOST} when the request does not reach the guest
   * @throws {QEMU_EXITED} {USAGE}
   */
  async poweroff(options: PoweroffOptions = {}): Promise<PoweroffReport> {
    validate(POWEROFF_OPTIONS, options, 'poweroff: options');
    const restored = this.#snapshots.guestSignal;
    return this.#onGuest(options, () => powerOff(this.#context, restored, options));
  }

  /**
   * Reboots the guest: asks it, and waits for the reset, then for its prompt and its shells. What its shells ran is rejected with
   * SHELL_LOST at the reset. Limit for all: 5 min by default.
   * @returns how it went down
   * @throws {USAGE} for a guest that cannot come up again: its snapshot was made without `reboots`
   * @throws {TIMEOUT} when it does not go down, or does not come up; `evidence` has the report or the console
   * @throws {SHELL_LOST} when its kernel panics, or the request does not reach it
   * @throws {QEMU_EXITED} {ABORTED}
   */
  async reboot(options: WaitOptions = {}): Promise<PoweroffReport> {
    const restored = this.#snapshots.guestSignal;
    return this.#onGuest(options, () => reboot(this.#context, restored, options));
  }

  /**
   * Boots a guest that has powered off again, in a new QEMU, on its own disks as it left them; waits for its prompt and its shells.
   * Forwarded ports and snapshots stay. Limit for all: 3 min by default.
   * @throws {USAGE} for a VM that runs, or that another program started
   * @throws {TIMEOUT} when it does not come up
   * @throws {SHELL_LOST} when its kernel panics
   * @throws {QEMU_START} {QEMU_EXITED} {NO_SPACE} {ABORTED} {CLOSED}
   */
  async start(options: WaitOptions = {}): Promise<void> {
    this.#context.assertOpen();
    validate(WAIT_OPTIONS, options, 'start: options');
    await this.#snapshots.restored(options);
    const restored = this.#snapshots.guestSignal;
    await startAgain(this.#context, restored, options);
  }

  /**
   * Has the kernel act on a SysRq key (`w`: dump blocked tasks, `t`: all tasks, ...), and returns the console lines it printed.
   * Where the guest's shell does not answer, the key goes over the keyboard.
   * @throws {TIMEOUT} when the kernel does not answer within 30 s
   * @throws {COMMAND_FAILED} when it refuses the key
   * @throws {SHELL_LOST} {ABORTED}
   */
  async sysrq(key: string, options: SysrqOptions = {}): Promise<string[]> {
    return this.#context.onGuest(() => sysRq(this.#context, key, options));
  }

  /**
   * Diagnoses a silent guest: panicked, stopped, spinning, idle, QEMU gone, or alive.
   * @throws {ABORTED}
   */
  async diagnose(options: DiagnoseOptions = {}): Promise<VmDiagnosis> {
    this.#context.assertOpen();
    return diagnose(this.#context, options);
  }

  /**
   * Reads from the guest's memory which tasks are stuck, what each waits for, who holds that, and what the holder does. The guest
   * need not answer; it is paused for some tens of milliseconds. Limit: 2 min by default.
   * @throws {USAGE} when the memory holds no Linux kernel for x86-64 of 5.10 or later with type information (BTF)
   * @throws {TIMEOUT} {ABORTED} {QEMU_EXITED}
   */
  async explain(options: ExplainOptions = {}): Promise<VmExplanation> {
    validate(EXPLAIN_OPTIONS, options, 'explain: options');
    return this.#onGuest(options, () => explain(this.#context, options));
  }

  /**
   * Writes the guest's memory and the registers of its CPUs to a new file, which appears when it is complete and has mode 0600. The
   * guest is paused until then. QEMU cannot cancel it: a caller that gives up waits for its end, and no file is left. Limit: 10 min by default.
   * @throws {ALREADY_EXISTS} when there is such a file
   * @throws {USAGE} for `paging` with a format other than `elf`
   * @throws {QMP_COMMAND} when QEMU cannot write it, or was built without the format
   * @throws {IO} {NO_SPACE} {TIMEOUT} {ABORTED}
   */
  async dump(path: string, options: DumpOptions = {}): Promise<void> {
    validate(DUMP_OPTIONS, options, 'dump: options');
    await this.#onGuest(options, () => dump(this.#context, path, options));
  }

  /**
   * Reads from the guest's memory which kernel it runs, and where KASLR has put it: what a debugger needs. Limit: 2 min by default.
   * @throws {USAGE} when the memory holds no Linux kernel for x86-64 of 5.10 or later with type information (BTF)
   * @throws {TIMEOUT} {ABORTED} {QEMU_EXITED}
   */
  async kernel(options: WaitOptions = {}): Promise<KernelImage> {
    validate(WAIT_OPTIONS, options, 'kernel: options');
    return this.#onGuest(options, () => readKernelImage(this.#context, options));
  }

  /**
   * Opens QEMU's gdb server on a Unix socket of this user. The guest stops when gdb connects, and runs on when gdb detaches, or the server is closed.
   * @throws {ALREADY_EXISTS} when the VM has one
   * @throws {QMP_COMMAND} when QEMU cannot serve gdb
   * @throws {TIMEOUT} {ABORTED} {QEMU_EXITED}
   */
  async gdbServer(options: WaitOptions = {}): Promise<GdbServer> {
    validate(WAIT_OPTIONS, options, 'gdbServer: options');
    return this.#onGuest(options, () => openGdbServer(this.#context, options));
  }

  /** Sends SIGKILL to processes of the guest, and reports what it did to each. Throws what `exec` throws. */
  async kill(pids: number | readonly number[], options: KillOptions = {}): Promise<KillEffect[]> {
    const all = typeof pids === 'number' ? [pids] : pids;
    return this.#context.onGuest(() => killAndReport(this.#context.probeShell(), all, options));
  }

  /**
   * Takes a screenshot of the graphical console, as PNG. The guest needs a graphics card: boot it with `display: 'std'`.
   * @throws {USAGE} when it has none
   * @throws {QMP_COMMAND} {TIMEOUT} {ABORTED}
   */
  async screenshot(options: ScreenshotOptions = {}): Promise<Buffer> {
    return this.#context.onGuest(() => takeScreenshot(this.qmp, options));
  }

  /**
   * Reads the stacks of a process's threads: in the kernel, and in user space by gdb where the process still answers ptrace.
   * Where it does not, `userUnavailable` says why; neither this nor the shell of `exec` hangs then. Limit: 3 min by default.
   * @throws {NOT_FOUND} when there is no such process
   * @throws {USAGE} {TIMEOUT} {ABORTED} {SHELL_LOST}
   */
  async stacks(pid: number, options: StacksOptions = {}): Promise<ProcessStacks> {
    return this.#context.onGuest(() => readStacks(this.#context.probeShell(), pid, options));
  }

  /**
   * Waits for a condition, such as `Wait.forUnit(name)`, and returns its value. Limit: 1 min by default.
   * @throws {TIMEOUT} with what was seen last
   * @throws {USAGE} {ABORTED} {QEMU_EXITED} and what the condition throws when it cannot be met any more
   */
  waitFor<T>(wait: Wait<T>, options: WaitForOptions = {}): Promise<T> {
    return this.#waits.forCondition(wait, options);
  }

  /** Waits for a systemd unit. Throws what `waitFor` throws. @throws {UNIT_FAILED} {NOT_FOUND} at once */
  waitForUnit(name: string, options: UnitWait & WaitForOptions = {}): Promise<void> {
    return this.#waits.forUnit(name, options);
  }

  /** Waits until something in the guest accepts TCP connections on a port, or with `closed` until they are refused. Throws what `waitFor` throws. */
  waitForPort(port: number, options: PortWait & WaitForOptions = {}): Promise<void> {
    return this.#waits.forPort(port, options);
  }

  /** Waits until a path exists in the guest, or with `gone` until it does not. Throws what `waitFor` throws. */
  waitForFile(path: string, options: FileWait & WaitForOptions = {}): Promise<void> {
    return this.#waits.forFile(path, options);
  }

  /** Waits until a process of the guest listens on a Unix socket. Throws what `waitFor` throws. */
  waitForSocket(path: string, options: WaitForOptions = {}): Promise<void> {
    return this.#waits.forSocket(path, options);
  }

  /** Waits until the serial console prints a text, or its screen shows it; returns what matched. Throws what `waitFor` throws. */
  waitForText(pattern: string | RegExp, options: TextWait & WaitForOptions = {}): Promise<string> {
    return this.#waits.forText(pattern, options);
  }

  /** Repeats a command until it succeeds, or with `fails` until it fails; returns its result. Throws what `waitFor` throws. */
  waitForCommand(command: Command, options: CommandWait & WaitForOptions = {}): Promise<ExecResult> {
    return this.#waits.forCommand(command, options);
  }

  /** Waits until `probe` returns something that is neither `undefined`, `null` nor `false`, and returns that. Throws what `waitFor` throws. */
  until<T>(
    probe: (signal: AbortSignal) => T | Promise<T>,
    options: UntilOptions & WaitForOptions = {},
  ): Promise<Exclude<T, undefined | null | false>> {
    return this.#waits.until(probe, options);
  }

  /**
   * Forwards a free TCP port of this host's 127.0.0.1 to a port of the guest, whose service has to listen on all addresses. Gives the
   * one that is there already when the port is forwarded. Forwarded ports go on after snapshots and restores, with the same port of
   * the host; a fork has them with ports of its own, which `forward` on the fork returns.
   * @throws {USAGE} when the guest has no network: boot it with `network: 'restricted'` or `'user'`
   * @throws {TIMEOUT} {ABORTED} {QEMU_EXITED}
   */
  async forward(guestPort: number, options: WaitOptions = {}): Promise<ForwardedPort> {
    validate(PORT, guestPort, 'forward: guestPort');
    return this.#onGuest(options, () => this.#context.forwards.add(guestPort, options));
  }

  /** Pauses the guest's CPUs. @throws {TIMEOUT} {ABORTED} */
  async pause(options: WaitOptions = {}): Promise<void> {
    await this.#context.inTurn('the pause', options, (qmp, wait) => qmp.execute('stop', undefined, wait));
  }

  /** Resumes the guest's CPUs. @throws {TIMEOUT} {ABORTED} */
  async resume(options: WaitOptions = {}): Promise<void> {
    await this.#context.inTurn('the resumption', options, (qmp, wait) => qmp.execute('cont', undefined, wait));
  }

  /** Kills QEMU and removes everything of this VM from the host; snapshots are removed with the last VM of the family. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closes the VM. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What `console.log` shows. */
  [inspect.custom](depth: number, options: InspectOptions): string {
    const { facts, name, state, pid } = this;
    const snapshots = this.snapshots.map((snapshot) => snapshot.name);
    const accelerator = facts.accelerator.accelerator;
    return `Vm ${inspect({ name, state, guest: facts.guest.name, accelerator, pid, snapshots }, { ...options, depth })}`;
  }

  /** @internal Why there is no running QEMU; undefined while there is one. */
  get failure(): QmpilotError | undefined {
    return this.#context.slot.life.failure;
  }

  /** @internal The disks of the current machine, also when it is off. */
  get disks(): readonly DiskSpec[] {
    return this.#context.machine.spec.disks;
  }

  /** @internal Forwards free ports of the host to ports of the guest, before it runs. */
  async forwardPorts(guestPorts: readonly number[]): Promise<void> {
    await this.#context.forwards.addNew(guestPorts);
  }

  /** @internal Uses no console on which a command ran when the snapshot was taken. */
  leaveAlone(consoles: OccupiedConsoles): void {
    this.#shells.leaveAlone(consoles);
  }

  /** @internal Lets a fork that was loaded run. */
  async begin(options: BeginOptions): Promise<void> {
    await this.#snapshots.begin(options);
  }

  async #close(): Promise<void> {
    const { slot, turns } = this.#context;
    this.#context.markClosed();
    turns.cancel();
    await this.#stopWatches();
    this.#shells.close();
    // A job that was cancelled must not continue in a QEMU that is not ours.
    if (!slot.machine.process.isOurs) await turns.idle();
    await this.#snapshots.cleanForeignDisks();
    await slot.close();
    await turns.idle();
    await this.#snapshots.dispose(slot.machine);
    await rm(this.#directory, { recursive: true, force: true });
    await this.#family.snapshots.release();
    await releaseHostDirectories();
    this.#context.removeListeners();
  }

  #await<T>(wait: Wait<T>, options: WaitForOptions): Promise<T> {
    const { console, over: ended } = this.#context;
    const target = { console, ended, probeShell: () => this.#context.probeShell(), commands: this.#shells };
    return this.#context.onGuest(() => runWait(target, wait, options));
  }

  /** Runs `task` within the caller's limits, after a restore that was asked for before. */
  #limited<T>(
    awaited: string,
    { timeout, patience, signal }: WaitOptions,
    task: (wait: WaitOptions) => Promise<T>,
  ): Promise<T> {
    return withinLimit({ awaited, timeout, patience, signal }, async (limit) => {
      const wait = { signal: limit, timeout: undefined, patience: undefined };
      return this.#onGuest(wait, () => task(wait));
    });
  }

  /** Runs an operation on the guest as it is after the restores that were asked for before. */
  async #onGuest<T>(options: WaitOptions, task: () => Promise<T>): Promise<T> {
    this.#context.assertOpen();
    await this.#snapshots.restored(options);
    return this.#context.onGuest(task);
  }

  async #stopWatches(): Promise<void> {
    for (const watch of this.#watches) await watch.stop();
    this.#watches.clear();
  }
}
