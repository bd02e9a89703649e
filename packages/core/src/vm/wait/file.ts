import * as v from 'valibot';
import { bashWord } from '../../shell/quote.js';
import { PATH } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import { lastError, look } from './look.js';
import type { Wait } from './wait.js';

/** What `Wait.forFile` waits for. */
export interface FileWait {
  /** Waits until the path does not exist, instead. Default false. */
  readonly gone?: boolean | undefined;
}

export const FILE_WAIT = { gone: v.optional(v.boolean()) } satisfies Record<keyof FileWait, v.GenericSchema>;

/** Waits until a path exists in the guest, or with `gone` until it does not. */
export function forFile(path: string, options: FileWait = {}): Wait<string> {
  validate(PATH, path, 'waitForFile: path');
  validate(v.strictObject(FILE_WAIT), options, 'waitForFile: options');
  const { gone = false } = options;
  const word = bashWord(path);
  return {
    awaited: `${path} to ${gone ? 'be removed' : 'exist'} in the guest`,
    async probe(target, signal) {
      const shown = await look(target, signal, `ls -ld -- ${word} || { [ -e ${word} ] || [ -L ${word} ]; }`);
      if (typeof shown === 'string') return { met: false, saw: shown };
      if ((shown.exitCode === 0) !== gone) return { met: true, value: path };
      return { met: false, saw: gone ? shown.stdout.trim() : lastError(shown) };
    },
  };
}
