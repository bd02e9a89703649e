import * as v from 'valibot';
import type { Command } from '../../shell/exec-options.js';
import type { ExecResult } from '../../shell/exec-result.js';
import { validate } from '../../util/validation/validate.js';
import { until, UNTIL, type UntilOptions } from './combine.js';
import { COMMAND_WAIT, forCommand, type CommandWait } from './command.js';
import { FILE_WAIT, forFile, type FileWait } from './file.js';
import { forPort, PORT_WAIT, type PortWait } from './port.js';
import { forSocket } from './socket.js';
import { forText, TEXT_WAIT, type TextWait } from './text.js';
import { forUnit, UNIT_WAIT, type UnitWait } from './unit.js';
import { WAIT_FOR, WAIT_SCHEMA, type Wait, type WaitForOptions } from './wait.js';

/** Waits for a condition; see `runWait`. */
export type Waiter = <T>(wait: Wait<T>, options: WaitForOptions) => Promise<T>;

/** The `waitFor...` methods of a VM: each checks its arguments, and waits for one condition. */
export class VmWaits {
  readonly #wait: Waiter;

  constructor(wait: Waiter) {
    this.#wait = wait;
  }

  async forCondition<T>(wait: Wait<T>, options: WaitForOptions): Promise<T> {
    validate(WAIT_SCHEMA, wait, 'waitFor: wait');
    validate(v.strictObject(WAIT_FOR), options, 'waitFor: options');
    return this.#wait(wait, options);
  }

  async forUnit(name: string, options: UnitWait & WaitForOptions): Promise<void> {
    const [own, wait] = split('waitForUnit', UNIT_WAIT, options);
    await this.#wait(forUnit(name, own), wait);
  }

  async forPort(port: number, options: PortWait & WaitForOptions): Promise<void> {
    const [own, wait] = split('waitForPort', PORT_WAIT, options);
    await this.#wait(forPort(port, own), wait);
  }

  async forFile(path: string, options: FileWait & WaitForOptions): Promise<void> {
    const [own, wait] = split('waitForFile', FILE_WAIT, options);
    await this.#wait(forFile(path, own), wait);
  }

  async forSocket(path: string, options: WaitForOptions): Promise<void> {
    const [, wait] = split('waitForSocket', {}, options);
    await this.#wait(forSocket(path), wait);
  }

  async forText(pattern: string | RegExp, options: TextWait & WaitForOptions): Promise<string> {
    const [own, wait] = split('waitForText', TEXT_WAIT, options);
    return this.#wait(forText(pattern, own), wait);
  }

  async forCommand(command: Command, options: CommandWait & WaitForOptions): Promise<ExecResult> {
    const [own, wait] = split('waitForCommand', COMMAND_WAIT, options);
    return this.#wait(forCommand(command, own), wait);
  }

  async until<T>(
    probe: (signal: AbortSignal) => T | Promise<T>,
    options: UntilOptions & WaitForOptions,
  ): Promise<Exclude<T, undefined | null | false>> {
    const [own, wait] = split('until', UNTIL, options);
    return this.#wait(until(probe, own), wait);
  }
}

/** Checks the options of a method, and separates those of its condition from those of the wait. */
function split<O extends WaitForOptions>(
  method: string,
  entries: v.ObjectEntries,
  options: O,
): [own: Omit<O, keyof WaitForOptions>, wait: WaitForOptions] {
  validate(v.strictObject({ ...WAIT_FOR, ...entries }), options, `${method}: options`);
  const { signal, timeout, patience, interval, ...own } = options;
  return [own, { signal, timeout, patience, interval }];
}
