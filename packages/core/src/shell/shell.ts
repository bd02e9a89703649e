import type { WaitOptions } from '../util/async/deadline.js';
import type { Command, ExecOptions } from './exec-options.js';
import type { ExecResult, ShellKind } from './exec-result.js';
import type { ExecStream } from './exec-stream.js';

/** Runs commands in the guest. */
export interface Shell {
  readonly name: string;
  readonly kind: ShellKind;

  /** Waits until the guest's side answers. Limit: 60 s by default. Throws what `exec` throws. */
  ready(options?: WaitOptions): Promise<void>;

  /**
   * Runs `command` in a subshell: variables that it sets are lost afterwards. Children that it leaves in the background keep
   * running; what they print later is lost.
   * @throws {USAGE} for invalid arguments, at once
   * @throws {NOT_FOUND} when `cwd` or `user` does not exist in the guest
   * @throws {TIMEOUT} after `timeout` (none by default): the command was killed, the shell stays usable
   * @throws {ABORTED} likewise
   * @throws {OUTPUT_LIMIT} likewise, when an output grew beyond `maxOutput`
   * @throws {SHELL_LOST} when the guest does not answer
   * @throws {CONSOLE_CLOSED} when the channel ends
   */
  exec(command: Command, options?: ExecOptions): Promise<ExecResult>;

  /**
   * The same, for a command that has to succeed.
   * @throws {COMMAND_FAILED} for an exit code other than 0, with the output
   */
  expectOk(command: Command, options?: ExecOptions): Promise<ExecResult>;

  /**
   * Runs `command` and returns its output as a stream, of any size. Leaving the iteration early kills it.
   * @throws what `exec` throws, from the iteration and from `result`
   */
  stream(command: Command, options?: ExecOptions): ExecStream;

  /**
   * A round trip to the guest's shell and back. Limit: 5 s by default.
   * @throws {SHELL_LOST} when nothing comes back
   */
  ping(options?: WaitOptions): Promise<void>;

  /** Detaches from the channel; queued commands are rejected with CLOSED. */
  close(): void;
}
