import * as v from 'valibot';
import { isQmpilotError } from '../../errors.js';
import { type Command } from '../../shell/exec-options.js';
import { describeCommand, type ExecResult } from '../../shell/exec-result.js';
import { checkCommand } from '../../shell/exec-schema.js';
import { validate } from '../../util/validation/validate.js';
import type { Wait } from './wait.js';

/** What `Wait.forCommand` waits for. */
export interface CommandWait {
  /** Waits until the command fails, instead. Default false. */
  readonly fails?: boolean | undefined;
}

export const COMMAND_WAIT = { fails: v.optional(v.boolean()) } satisfies Record<keyof CommandWait, v.GenericSchema>;

/** Most characters of the output that a timeout shows. */
const MAX_SHOWN_OUTPUT = 200;

/**
 * Runs a command again and again until it exits with 0, or with `fails` with another exit code. The value is its result. A TIMEOUT
 * shows the exit code and the end of the output of the last run; a run that is still going on at that time is killed.
 */
export function forCommand(command: Command, options: CommandWait = {}): Wait<ExecResult> {
  const label = describeCommand(checkCommand(command, {}, 'waitForCommand'));
  validate(v.strictObject(COMMAND_WAIT), options, 'waitForCommand: options');
  const { fails = false } = options;
  return {
    awaited: `${label} to ${fails ? 'fail' : 'succeed'}`,
    async probe({ commands }, signal) {
      try {
        const result = await commands.exec(command, { signal });
        if ((result.exitCode === 0) !== fails) return { met: true, value: result };
        return { met: false, saw: describeEnd(result) };
      } catch (error) {
        if (!signal.aborted && isQmpilotError(error, 'SHELL_LOST')) return { met: false, saw: error.message };
        throw error;
      }
    },
  };
}

function describeEnd({ exitCode, stdout, stderr }: ExecResult): string {
  const output = `${stdout.trimEnd()}\n${stderr.trimEnd()}`.trim();
  const shown = output.length > MAX_SHOWN_OUTPUT ? `...${output.slice(-MAX_SHOWN_OUTPUT)}` : output;
  return `exit code ${exitCode}${shown === '' ? ', no output' : `: ${shown}`}`;
}
