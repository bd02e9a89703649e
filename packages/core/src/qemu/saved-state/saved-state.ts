/** A state of a machine that QEMU saved. */
export interface SavedState {
  readonly path: string;
  /** It holds devices only: RAM is in the machine's RAM file (capability `x-ignore-shared`). */
  readonly ramInFile: boolean;
  /** RAM is at fixed offsets of the file (capability `mapped-ram`, QEMU 9.0). */
  readonly mappedRam?: boolean;
  /** Pages of RAM that replace those of the RAM file. */
  readonly pages?: SavedPages;
}

/** A file of pages of RAM, one after the other; behind them is the place of each run of them: its first page and its length, 4 bytes each. */
export interface SavedPages {
  readonly path: string;
  /** How many pages. */
  readonly count: number;
  /** How many runs of pages that are neighbours in the RAM. */
  readonly runs: number;
}
