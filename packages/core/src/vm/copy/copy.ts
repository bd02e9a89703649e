import type { WaitOptions } from '../../util/async/deadline.js';

/** How far a copy has come. */
export interface CopyProgress {
  /** Bytes of the archive so far. */
  readonly bytes: number;
  /** Files, folders and links so far. */
  readonly entries: number;
}

export interface CopyOptions extends WaitOptions {
  /** Called as the copy goes on. */
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
}

export interface CopyOutOptions extends CopyOptions {
  /**
   * How many bytes of the guest's archive are taken, file headers included; 8 GiB by default. A guest could send without an end.
   * @throws {OUTPUT_LIMIT} when it sends more: nothing is kept then
   */
  readonly maxBytes?: number | undefined;
}

/** What was not copied, and why: data, for a guest may hold anything. */
export interface SkippedEntry {
  readonly name: string;
  readonly reason: string;
}

/** What a copy has brought over, and what it left out. */
export interface CopyReport {
  readonly files: number;
  /** Of the files' content. */
  readonly bytes: number;
  readonly skipped: readonly SkippedEntry[];
}
