import { decode } from './lines/decode.js';
import type { KernelLine } from './lines/kernel-line.js';
import { holdsHeader } from './rules/header.js';

/** Lines that look like a failure but were not recognised as lines of the kernel. */
export interface UnreadLines {
  readonly count: number;
  /** The first of them, bounded; text of the guest. */
  readonly first?: string;
  /** Whether other lines were the kernel's, so that the form of the log is known and these lines are a program's. */
  readonly recognized: boolean;
}

/** More are not looked at: one is enough to say so. */
const MAX_COUNTED = 100;
const MAX_SHOWN = 160;

/** Counts the lines with the words of a failure that are not taken for the kernel's. */
export class UnreadCounter {
  #count = 0;
  #first: string | undefined;
  #recognized = false;

  /** A line of the kernel was read. */
  recognize(): void {
    this.#recognized = true;
  }

  /** A line that is not taken for the kernel's. */
  note(line: KernelLine, raw: string): void {
    if (this.#count >= MAX_COUNTED || !holdsHeader(line.text)) return;
    this.#count++;
    this.#first ??= decode(raw).trim().slice(0, MAX_SHOWN);
  }

  get lines(): UnreadLines {
    return {
      count: this.#count,
      ...(this.#first === undefined ? {} : { first: this.#first }),
      recognized: this.#recognized,
    };
  }
}
