import type { Console } from '../console/console.js';
import { QmpilotError } from '../errors.js';
import type { QmpClient } from '../qmp/client.js';
import type { OutOfBandShell } from '../shell/console-shell/console-shell.js';
import type { NewVmEvent } from './events.js';
import { Keyboard } from './input/keyboard.js';
import { takeScreenshot, type ScreenshotOptions } from './inspect/screenshot.js';
import { readStacks, type ProcessStacks, type StacksOptions } from './inspect/stacks.js';
import {
  runWait,
  until,
  waitForFile,
  waitForPort,
  waitForText,
  waitForUnit,
  type TextWait,
  type UnitWait,
  type Wait,
  type WaitForOptions,
} from './wait/waits.js';

/** What is done to a guest from outside by the means a `Vm` has anyway: its keyboard, pictures, stacks and waits. */
export abstract class GuestActions {
  abstract get console(): Console;
  abstract get qmp(): QmpClient;
  abstract get shell(): OutOfBandShell;
  abstract get samplingShell(): OutOfBandShell | undefined;
  abstract get ended(): Promise<QmpilotError>;
  /** @throws {CLOSED} {QEMU_EXITED} when there is no running machine */
  protected abstract mustRun(): void;

  /** @internal */
  abstract emit(event: NewVmEvent): void;

  readonly #keyboard = new Keyboard(
    () => {
      this.mustRun();
      return this.qmp;
    },
    (typed) => this.emit({ type: 'typed', into: 'keyboard', ...typed }),
  );

  /** The keyboard of the graphical console: tty1 of a Linux guest. */
  get keyboard(): Keyboard {
    return this.#keyboard;
  }

  /**
   * What the graphical console shows, as PNG. The guest needs a graphics card: boot it with `display: 'std'`.
   * @throws {USAGE} when it has none
   * @throws {QMP_COMMAND} {TIMEOUT} {ABORTED}
   */
  async screenshot(options: ScreenshotOptions = {}): Promise<Buffer> {
    this.mustRun();
    return takeScreenshot(this.qmp, options);
  }

  /**
   * Where the threads of a process stand: in the kernel, and in user space by gdb, where the process still answers ptrace. Where it
   * does not, `userUnavailable` says why; neither this nor the shell of `exec` hangs then. Limit: 3 min by default.
   * @throws {NOT_FOUND} when there is no such process
   * @throws {USAGE} {TIMEOUT} {ABORTED} {SHELL_LOST}
   */
  async stacks(pid: number, options: StacksOptions = {}): Promise<ProcessStacks> {
    this.mustRun();
    return readStacks(this.samplingShell ?? this.shell, pid, options);
  }

  /**
   * Waits for what `wait` describes and gives its value; `all` and `any` put several together. Limit: 1 min by default.
   * @throws {TIMEOUT} with what was seen last
   * @throws {ABORTED} {QEMU_EXITED} and what the wait throws when it cannot come any more
   */
  async waitFor<T>(wait: Wait<T>, options: WaitForOptions = {}): Promise<T> {
    this.mustRun();
    const target = { console: this.console, ended: this.ended, probeShell: () => this.samplingShell ?? this.shell };
    return runWait(target, wait, options);
  }

  /** Waits for a systemd unit. @throws {UNIT_FAILED} {NOT_FOUND} at once */
  async waitForUnit(name: string, options: UnitWait & WaitForOptions = {}): Promise<void> {
    await this.waitFor(waitForUnit(name, options), options);
  }

  /** Waits until something in the guest takes TCP connections on a port. */
  async waitForPort(port: number, options: { readonly host?: string } & WaitForOptions = {}): Promise<void> {
    await this.waitFor(waitForPort(port, options), options);
  }

  /** Waits until a path exists in the guest, or with `gone` does not any more. */
  async waitForFile(path: string, options: { readonly gone?: boolean } & WaitForOptions = {}): Promise<void> {
    await this.waitFor(waitForFile(path, options), options);
  }

  /** Waits until the serial console prints a text, or its screen shows it; gives what matched. */
  waitForText(pattern: string | RegExp, options: TextWait & WaitForOptions = {}): Promise<string> {
    return this.waitFor(waitForText(pattern, options), options);
  }

  /** Waits until `probe` gives something that is neither `undefined`, `null` nor `false`, and gives that. */
  until<T>(
    probe: (signal: AbortSignal) => T | Promise<T>,
    options: WaitForOptions & { readonly awaited?: string } = {},
  ): Promise<Exclude<T, undefined | null | false>> {
    return this.waitFor(until(probe, options.awaited), options);
  }
}
