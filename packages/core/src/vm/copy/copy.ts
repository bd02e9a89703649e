import type { WaitOptions } from '../../util/async/deadline.js';

/** How far a copy has come. */
export interface CopyProgress {
  /** Bytes of the archive so far. */
  readonly bytes: number;
  /** Files, folders and links so far. */
  readonly entries: number;
}

export interface CopyOptions extends WaitOptions {
  /** Called as the copy proceeds. */
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
}

export interface CopyOutOptions extends CopyOptions {
  /**
   * How many bytes of the guest's archive are taken, file headers included; 8 GiB by default. A guest could send without an end.
   * @throws {OUTPUT_LIMIT} when it sends more: nothing is kept then
   */
  readonly maxBytes?: number | undefined;
}

/** An entry that was not copied, and why. */
export interface SkippedEntry {
  readonly name: string;
  readonly reason: string;
}

/** Result of a copy: what was copied and what was left out. */
export interface CopyReport {
  readonly files: number;
  /** Of the files' content. */
  readonly bytes: number;
  readonly skipped: readonly SkippedEntry[];
}
