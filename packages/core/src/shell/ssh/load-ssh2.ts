import type ssh2 from 'ssh2';
import { QmpilotError } from '../../errors.js';
import { forgetLastStat } from '../../util/files/forget-last-stat.js';

/**
 * Loads the package ssh2, which is an optional peer dependency.
 * @throws {TOOL_MISSING} when it is not installed
 */
export async function loadSsh2(): Promise<typeof ssh2> {
  forgetLastStat();
  try {
    return (await import('ssh2')).default;
  } catch (cause) {
    throw new QmpilotError('TOOL_MISSING', 'the package ssh2, which @qmpilot/core/ssh needs, is not installed', {
      cause,
      hint: 'install it: npm install ssh2',
    });
  }
}
