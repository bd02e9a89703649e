import { isQmpilotError } from '../../errors.js';
import type { ExecResult } from '../../shell/exec-result.js';
import type { WaitTarget } from './wait.js';

/** Limit of one probe on a busy guest; one that takes longer counts as not met. */
const PROBE_TIMEOUT = '20s';

/** Runs a short command for a probe. Returns its result, or a text that says why there is none now. */
export async function look(target: WaitTarget, signal: AbortSignal, command: string): Promise<ExecResult | string> {
  try {
    return await target.probeShell().exec(command, { signal, patience: PROBE_TIMEOUT });
  } catch (error) {
    if (!signal.aborted && (isQmpilotError(error, 'TIMEOUT') || isQmpilotError(error, 'SHELL_LOST')))
      return error.message;
    throw error;
  }
}

/** The last line of a command's error output. */
export function lastError({ stderr, exitCode }: ExecResult): string {
  return stderr.trim().split('\n').at(-1) || `exit code ${exitCode}`;
}
