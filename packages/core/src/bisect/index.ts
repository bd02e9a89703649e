/**
 * Bisection of a git repository, or of Debian's kernels, for a failure that has a rate.
 * @module
 */
export { bisect } from './bisect.js';
export type {
  BisectBuild,
  BisectCommonOptions,
  BisectEvent,
  BisectKernelsOptions,
  BisectOptions,
  BisectPurpose,
  BisectRepositoryOptions,
  BisectSubject,
} from './options.js';
export type { BisectCount, BisectResult, BisectRevert, BisectState, BisectSuspect } from './result.js';
