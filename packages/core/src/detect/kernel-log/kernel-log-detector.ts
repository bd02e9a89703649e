import { Engine } from './engine.js';
import type { KernelLogFinding } from './kernel-log-finding.js';
import { startsWithStamp } from './lines/kernel-line.js';
import type { UnreadLines } from './unread.js';

/** Options of a kernel log detector. */
export interface KernelLogDetectorOptions {
  /** After how long without a further line a report counts as whole, in ms. Default 2000. */
  readonly quietMs?: number;
  /**
   * The kernel is known to put timestamps before its messages, so a line without one is not the kernel's. By default the detector
   * finds out at the first timestamp; a caller that begins in the middle of a log passes the result of `showsTimestamps` for the lines before.
   */
  readonly timestamped?: boolean;
}

/** Reads a console or kernel log as it arrives. Every method returns the findings that are complete by then. */
export interface KernelLogDetector {
  /** Takes the next bytes, cut anywhere. Text is taken as UTF-8. `atMs` is the caller's own clock and must not go back. */
  push(chunk: string | Uint8Array, atMs: number): KernelLogFinding[];
  /** Says that time has passed: ends reports behind which nothing more came. */
  tick(atMs: number): KernelLogFinding[];
  /** The log is over: ends all open reports. */
  end(atMs: number): KernelLogFinding[];
  /** Lines so far that contain the words of a failure but were not taken for the kernel's. */
  readonly unread: UnreadLines;
}

/** A detector for one boot's log, which may come in pieces of any size. */
export function createKernelLogDetector({
  quietMs = 2000,
  timestamped = false,
}: KernelLogDetectorOptions = {}): KernelLogDetector {
  return new Engine({ quietMs, timestamped });
}

/** Whether the kernel puts timestamps before its messages, as far as these console lines show. */
export function showsTimestamps(lines: readonly string[]): boolean {
  return lines.some(startsWithStamp);
}
