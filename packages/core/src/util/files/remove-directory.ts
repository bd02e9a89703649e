import { rm } from 'node:fs/promises';
import { retry } from '../async/retry.js';
import { errnoOf } from './host-error.js';

/** A process that is ending may still create files in the folder. */
const BUSY: ReadonlySet<string> = new Set(['ENOTEMPTY', 'EBUSY']);

/** Removes a folder with all its contents; tries again for a second while another process still creates files in it. */
export function removeDirectory(path: string): Promise<void> {
  return retry(() => rm(path, { recursive: true, force: true }), {
    retries: 10,
    delay: 20,
    factor: 1.5,
    maxDelay: 200,
    when: (error) => BUSY.has(errnoOf(error) ?? ''),
  });
}
