import { forgetLastStat } from './forget-last-stat.js';
import { hostError } from './host-error.js';

/**
 * Replaces a file as a whole: readers see the old content or the new one, also after a crash. The file is synced before it
 * gets its name, and is readable by this user only.
 * @param hint what to do when it cannot be written
 * @throws {NO_SPACE} {IO}
 */
export async function replaceFile(path: string, content: string | Buffer, hint?: string): Promise<void> {
  forgetLastStat();
  const { default: writeFileAtomically } = await import('write-file-atomic');
  try {
    await writeFileAtomically(path, content, { mode: 0o600 });
  } catch (cause) {
    throw hostError(`cannot write ${path}`, cause, hint === undefined ? {} : { hint });
  }
}
