/**
 * Bisection of a git repository for a failure that has a rate.
 * @module
 */
export { bisect } from './bisect.js';
export type { BisectBuild, BisectEvent, BisectOptions, BisectPurpose } from './options.js';
export type { BisectCount, BisectResult, BisectRevert, BisectState, BisectSuspect } from './result.js';
