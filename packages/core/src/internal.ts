/**
 * Helpers shared with the command line of the same version. Not part of the public API: they change without notice.
 * @module
 */
import type * as Doctor from './qemu/doctor.js';
import type * as Prepared from './vm/start/prepared.js';

export { nounOf, shortName } from './bisect/commit-name.js';
export { readGitBisectLog } from './bisect/git/git-log.js';
export type { HostCheck } from './qemu/doctor.js';
export { hashScenario } from './repro/scenario-source.js';
export { parseShard } from './run-files/run-file.js';
export { parseRateGoal } from './statistics/rate-goal.js';
export { isScenario, onGuest, onKernel } from './repro/scenario.js';
export { replaceFile } from './util/files/atomic-write.js';
export { closest } from './util/text/closest.js';
export { formatBytes, formatDuration, formatPercent } from './util/text/format.js';
export { errnoOf, hostError, isNoSpace } from './util/files/host-error.js';
export { isObject } from './util/validation/is-object.js';
export { Mutex } from './util/async/mutex.js';
export { cacheRoot, stateRoot } from './util/files/paths.js';
export { isGone, ownerText } from './util/files/process-owner.js';
export { removeDirectory } from './util/files/remove-directory.js';
export { retry } from './util/async/retry.js';
export type { RetryOptions } from './util/async/retry.js';
export { shQuote } from './util/text/sh-quote.js';
export {
  escapeJson,
  escapeLine,
  escapeUnsafe,
  replaceUnsafe,
  safeLine,
  safeText,
  stripEscapes,
} from './util/text/text-hygiene.js';
export { requireProgram, which } from './util/files/which.js';
export type { PreparedRequest } from './vm/start/prepared.js';

/** See `vm/start/prepared.ts`. */
export const openPreparedSnapshot: typeof Prepared.openPreparedSnapshot = async (...args) =>
  (await import('./vm/start/prepared.js')).openPreparedSnapshot(...args);
/** See `vm/start/prepared.ts`. */
export const savePreparedSnapshot: typeof Prepared.savePreparedSnapshot = async (...args) =>
  (await import('./vm/start/prepared.js')).savePreparedSnapshot(...args);
/** See `qemu/doctor.ts`. */
export const checkHost: typeof Doctor.checkHost = async () => (await import('./qemu/doctor.js')).checkHost();

/** The parts of `bisection.json` that the command line needs to resume. */
export interface BisectionSettings {
  readonly repo?: string | undefined;
  readonly kernels?:
    | {
        readonly pattern: string;
        readonly suite: string;
        readonly packages: readonly { readonly id: string; readonly version: string }[];
      }
    | undefined;
  readonly good: string;
  readonly bad: string;
  readonly alsoGood?: readonly string[] | undefined;
  readonly skip?: readonly string[] | undefined;
  readonly paths: readonly string[];
  readonly build?: string | undefined;
  readonly install?: string | undefined;
  readonly source?: { readonly file: string; readonly sha256: string } | undefined;
}

/** Reads `bisection.json`; see `bisect/journal.ts`. */
export const readBisection = async (dir: string): Promise<BisectionSettings> =>
  (await import('./bisect/journal.js')).readAbout(dir);
