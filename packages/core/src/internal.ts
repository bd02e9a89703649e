/**
 * Helpers shared with the command line of the same version. Not part of the public API: they change without notice.
 * @module
 */
export { nounOf, shortName } from './bisect/commit-name.js';
export { readGitBisectLog } from './bisect/git/git-log.js';
export { readAbout as readBisection } from './bisect/journal.js';
export { checkHost } from './qemu/doctor.js';
export type { HostCheck } from './qemu/doctor.js';
export { isScenario, onGuest, onKernel } from './repro/scenario.js';
export { replaceFile } from './util/files/atomic-write.js';
export { closest } from './util/text/closest.js';
export { lockFile } from './util/files/file-lock.js';
export type { LockOptions } from './util/files/file-lock.js';
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
export { validate } from './util/validation/validate.js';
export { requireProgram, which } from './util/files/which.js';
export { openPreparedSnapshot, savePreparedSnapshot } from './vm/start/prepared.js';
export type { PreparedRequest } from './vm/start/prepared.js';
