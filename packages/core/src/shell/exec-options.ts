import type { WaitOptions } from '../util/async/deadline.js';

/** Source for a shell, or a program and its arguments, which are quoted. */
export type Command = string | readonly string[];

export interface ExecOptions extends WaitOptions {
  /** Added to the command's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Directory in the guest. One that cannot be entered is NOT_FOUND, and the command does not run. */
  readonly cwd?: string | undefined;
  /** Standard input, to the byte; empty by default. */
  readonly input?: string | Uint8Array | undefined;
  /** @internal A file of the guest in place of `input`, opened as root. */
  readonly inputFile?: string | undefined;
  /** Run as this user of the guest, by `runuser`. One that does not exist is NOT_FOUND. */
  readonly user?: string | undefined;
  /** How many bytes of either output `exec` takes; default 256 MiB. `stream` has no limit. */
  readonly maxOutput?: number | undefined;
}

export const DEFAULT_MAX_OUTPUT = 256 * 2 ** 20;
