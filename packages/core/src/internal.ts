/**
 * Helpers shared with the command line of the same version. Not part of the public API: they change without notice.
 * @module
 */
export { checkHost } from './qemu/host/doctor.js';
export type { HostCheck } from './qemu/host/doctor.js';
export { isScenario, onGuest } from './repro/scenario.js';
export { replaceFile } from './util/atomic-write.js';
export { closest } from './util/closest.js';
export { lockFile } from './util/file-lock.js';
export type { LockOptions } from './util/file-lock.js';
export { formatBytes, formatDuration, formatPercent } from './util/format.js';
export { errnoOf, hostError, isNoSpace } from './util/host-error.js';
export { isObject } from './util/is-object.js';
export { Mutex } from './util/mutex.js';
export { cacheRoot, stateRoot } from './util/paths.js';
export { removeDirectory } from './util/remove-directory.js';
export { retry } from './util/retry.js';
export type { RetryOptions } from './util/retry.js';
export { shQuote } from './util/sh-quote.js';
export {
  escapeJson,
  escapeLine,
  escapeUnsafe,
  replaceUnsafe,
  safeLine,
  safeText,
  stripEscapes,
} from './util/text-hygiene.js';
export { validate } from './util/validate.js';
export { requireProgram, which } from './util/which.js';
export { findPrepared, keepPrepared } from './vm/start/prepared.js';
export type { PreparedRequest } from './vm/start/prepared.js';
