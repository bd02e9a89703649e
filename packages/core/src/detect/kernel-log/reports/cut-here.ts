import type { KernelLine } from '../lines/kernel-line.js';

export const CUT_HERE = '[ cut here ]';
/** `WARN()` prints a message of its own, most often one line; lines of other contexts may stand between. */
const WITHIN_LINES = 12;
const MAX_LINES = 6;

/** Keeps the lines between `------------[ cut here ]------------` and the header: why the kernel warns, in words. */
export class CutHere {
  #lines: string[] = [];
  #caller: string | undefined;
  #left = 0;

  /** Whether it must see the next lines although nothing in them stands out. */
  get needsMoreLines(): boolean {
    return this.#left > 0;
  }

  /** A line of whatever kind has come. */
  pass(): void {
    if (this.#left > 0) this.#left--;
    if (this.#left === 0) this.#lines = [];
  }

  /** Takes a line that begins no report. */
  read(line: KernelLine, raw: string): void {
    if (line.text.includes(CUT_HERE)) {
      this.#lines = [raw];
      this.#caller = line.caller;
      this.#left = WITHIN_LINES;
    } else if (this.needsMoreLines && this.#lines.length < MAX_LINES && line.caller === this.#caller) {
      this.#lines.push(raw);
    }
  }

  /** The lines that belong to the header `line`, the first of them the mark. They are given once. */
  linesBefore(line: KernelLine): readonly string[] {
    if (!this.needsMoreLines || line.caller !== this.#caller) return [];
    const lines = this.#lines;
    this.#lines = [];
    this.#left = 0;
    return lines;
  }
}
