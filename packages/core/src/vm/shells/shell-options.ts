import * as v from 'valibot';
import type { ExecOptions } from '../../shell/exec-options.js';
import type { ShellKind } from '../../shell/exec-result.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { WAIT } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import type { InputStream } from './input-stream.js';

/** Kinds of shells that a VM opens by itself; for SSH see `@qmpilot/core/ssh`. */
export type VmShellKind = Exclude<ShellKind, 'ssh'>;

/** Options of `vm.exec` and of the methods that are built on it. */
export interface VmExecOptions extends Omit<ExecOptions, 'input' | 'inputFile'> {
  /**
   * Standard input, to the byte; empty by default. A stream is passed on while the command runs, as fast as that reads; it is ended
   * when the command exits before it.
   */
  readonly input?: string | Uint8Array | InputStream | undefined;
  /** Uses this kind of shell only; default: the first that answers of `console`, `guest-agent`, `serial`. */
  readonly via?: VmShellKind | undefined;
}

export interface OpenShellOptions extends WaitOptions {
  /** By default a bash on a spare virtio console, else a shell of the guest agent. */
  readonly via?: VmShellKind | undefined;
}

const OPEN_SHELL_OPTIONS = v.strictObject({
  ...WAIT,
  via: v.optional(v.picklist(['console', 'guest-agent', 'serial'])),
} satisfies Record<keyof OpenShellOptions, v.GenericSchema>);

/** Checks the options of a method that chooses a shell. @throws {USAGE} */
export function checkShellOptions(method: string, options: unknown): void {
  validate(OPEN_SHELL_OPTIONS, options, `${method}: options`);
}
