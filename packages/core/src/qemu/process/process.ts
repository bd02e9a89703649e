import { spawn, type ChildProcess } from 'node:child_process';
import { dirname } from 'node:path';
import { kill, pid } from 'node:process';
import { Duplex } from 'node:stream';
import { QmpilotError } from '../../errors.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import { deferred } from '../../util/async/deferred.js';
import { debugLog } from '../../util/debug-log.js';
import { hostError } from '../../util/files/host-error.js';
import { which } from '../../util/files/which.js';
import { Ring } from '../../util/ring.js';
import { shQuote } from '../../util/text/sh-quote.js';
import { watchStarvation } from '../../util/time/starvation.js';
import { forgetChild, recordChild } from '../host/directories.js';

const log = debugLog('process');

export interface QemuExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A QEMU as its users see it, whichever program started it. */
export interface QemuHandle {
  readonly pid: number;
  readonly args: readonly string[];
  readonly exited: Promise<QemuExit>;
  readonly exit: QemuExit | undefined;
  /** We started it, and end it. */
  readonly isOurs: boolean;
  stderr(): string[];
  /** Kills a QEMU that we started, detaches from one that another program started. */
  kill(): Promise<QemuExit>;
  sendSignal(signal: NodeJS.Signals): void;
  waitForExit(options?: WaitOptions): Promise<QemuExit>;
}

export interface SpawnOptions {
  readonly path: string;
  /** Built once the descriptors are known: 3 is the first channel, 4 the second, and so on. */
  readonly args: readonly string[];
  /** How many socket pairs QEMU inherits, from descriptor 3 on. */
  readonly channels: number;
  /** Open files that QEMU inherits behind the channels; the caller closes its own afterwards. */
  readonly files?: readonly number[];
  /** File in which the pid is recorded for the reaper. */
  readonly directory: string;
  /** Default those of this process. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly cwd?: string | undefined;
  /** Gets the lines of standard output and standard error; unset, standard output goes nowhere. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** A parent that died before the signal was asked for sends none: a process that has another parent by now must not start. Arguments pass as they are. */
const UNLESS_ORPHANED = '[ "$PPID" = "$0" ] && exec "$@"';

/** The longest time after QEMU's exit that another process (a daemon of its script) may hold its standard error, in ms. */
const LINGER_MS = 500;

/** One QEMU process: its inherited channels, its standard error, its exit. It ends when this process ends. */
export class QemuProcess implements QemuHandle {
  readonly isOurs = true;
  readonly pid: number;
  /** The command line as it was given; that of the QEMU which a script became, once `becameQemu` was told. */
  args: readonly string[];
  readonly channels: readonly Duplex[];
  /** Resolves when the process is gone, however it went. */
  readonly exited: Promise<QemuExit>;
  #exit: QemuExit | undefined;
  #unwatch: () => void;
  readonly #child: ChildProcess;
  readonly #stderr = new Ring<string>(200);

  private constructor(child: ChildProcess, pid: number, options: SpawnOptions) {
    this.#child = child;
    this.pid = pid;
    this.args = [options.path, ...options.args];
    log?.(() => `started ${pid}: ${this.args.map(shQuote).join(' ')}`);
    this.channels = child.stdio.slice(3).filter((stream) => stream instanceof Duplex);
    // A socket pair fails with ECONNRESET when QEMU ends before it has read all; its end is told by `exited`.
    for (const stream of [...this.channels, child.stderr, child.stdout]) stream?.on('error', () => {});
    let partial = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (partial + text).slice(-65_536).split('\n');
      partial = lines.pop() ?? '';
      for (const line of lines) {
        this.#stderr.push(line.slice(0, 500));
        options.onLine?.(line.slice(0, 500));
      }
    });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.slice(-65_536).split('\n')) if (line.trim()) options.onLine?.(line.slice(0, 500));
    });
    const end = deferred<QemuExit>();
    child.once('exit', (code, signal) => {
      this.#exit = { code, signal };
      log?.(() => `${pid} ${signal === null ? `exited with status ${code}` : `was killed by ${signal}`}`);
      setTimeout(gone, LINGER_MS, { code, signal }).unref();
    });
    let told = false;
    const gone = (exit: QemuExit) => {
      if (told) return;
      told = true;
      if (partial) this.#stderr.push(partial);
      void forgetChild(options.directory, pid)
        .catch(() => {})
        .finally(() => end.resolve(exit));
    };
    // `close` comes after standard error was read to its end.
    child.once('close', (code, signal) => gone({ code, signal }));
    this.exited = end.promise;
    this.#unwatch = watchStarvation(pid);
    child.once('exit', () => this.#unwatch());
  }

  static async spawn(options: SpawnOptions): Promise<QemuProcess> {
    // Ends QEMU with this process, SIGKILL included; the reaper does it where setpriv is missing.
    const setpriv = await which('setpriv');
    const [command, prefix] = setpriv
      ? [setpriv, ['--pdeathsig', 'KILL', '--', '/bin/sh', '-c', UNLESS_ORPHANED, String(pid), options.path]]
      : [options.path, []];
    const child = spawn(command, [...prefix, ...options.args], {
      ...(options.env && { env: options.env }),
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      stdio: [
        'ignore',
        options.onLine ? 'pipe' : 'ignore',
        'pipe',
        ...Array.from({ length: options.channels }, () => 'pipe' as const),
        ...(options.files ?? []),
      ],
      // A Ctrl-C in the terminal is for the controller alone: it decides how the VM ends.
      detached: true,
    });
    const started = deferred<void>();
    child.once('spawn', () => started.resolve());
    child.once('error', (cause) =>
      started.reject(new QmpilotError('QEMU_START', `${command} could not be started: ${cause.message}`, { cause })),
    );
    await started.promise;
    const process = new QemuProcess(child, child.pid ?? 0, options);
    await recordChild(options.directory, process.pid).catch(async (cause: unknown) => {
      await process.kill();
      throw hostError(`cannot record the pid of QEMU in ${options.directory}`, cause);
    });
    return process;
  }

  get exit(): QemuExit | undefined {
    return this.#exit;
  }

  /** Sets the command line of the QEMU that a start script has become. */
  becameQemu(args: readonly string[]): void {
    this.args = args;
  }

  stderr(): string[] {
    return this.#stderr.last();
  }

  /** Sends SIGKILL and waits for the end. */
  async kill(): Promise<QemuExit> {
    if (!this.#exit) this.#child.kill('SIGKILL');
    for (const channel of this.channels) channel.destroy();
    return this.exited;
  }

  /** Ends what a script has in the foreground. Its daemons ignore it, as a shell sets them to, and end with what they serve. */
  interruptGroup(): void {
    try {
      if (!this.#exit) kill(-this.pid, 'SIGINT');
    } catch {
      // It has ended meanwhile.
    }
  }

  sendSignal(signal: NodeJS.Signals): void {
    // One that we hold ourselves does not starve.
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') this.#unwatch();
    if (signal === 'SIGCONT' && !this.#exit) this.#unwatch = watchStarvation(this.pid);
    this.#child.kill(signal);
  }

  /**
   * @throws {TIMEOUT}
   * @throws {ABORTED}
   */
  waitForExit(options: WaitOptions = {}): Promise<QemuExit> {
    return awaitWithin<QemuExit>(
      { awaited: 'QEMU to exit', defaultTimeout: 30_000, details: () => ({ evidence: { stderr: this.stderr() } }) },
      options,
      (resolve) => void this.exited.then(resolve),
    );
  }
}

/** The error for a QEMU that ended unasked: what it said last is in the message. */
export function exitError(
  doing: string | undefined,
  exit: QemuExit,
  stderr: readonly string[],
  pid: number,
  args: readonly string[] = [],
): QmpilotError {
  const how = exit.signal
    ? `was killed by ${exit.signal}`
    : exit.code === null
      ? 'ended'
      : `exited with status ${exit.code}`;
  const during = doing === undefined ? '' : ` while ${doing}`;
  const said = stderr.at(-1);
  if (exit.signal === 'SIGBUS') return outOfRam(`QEMU (pid ${pid}) ${how}${during}`, args);
  return new QmpilotError('QEMU_EXITED', `QEMU (pid ${pid}) ${how}${during}${said ? `; it said: ${said}` : ''}`, {
    evidence: { stderr },
    hint: said ? "see QEMU's message above" : 'look for the out-of-memory killer in the host kernel log (dmesg)',
  });
}

/** The file of the guest's RAM has holes until the guest writes, and then no room was left to fill one. */
function outOfRam(message: string, args: readonly string[]): QmpilotError {
  const file = args.flatMap((arg) => /mem-path=((?:[^,]|,,)+)/.exec(arg)?.[1]?.replaceAll(',,', ',') ?? [])[0];
  const where = file === undefined ? 'no memory' : `the file system of ${dirname(file)} has no room`;
  return new QmpilotError('QEMU_EXITED', `${message}: ${where} for the guest's RAM`, {
    hint: 'make room there, set QMPILOT_RAM_DIR to a folder on a larger file system, or give the guest less memory',
  });
}
