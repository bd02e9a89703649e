import type { KernelLine } from './lines/kernel-line.js';

const MAX_SEEN = 256;

/** Knows the headers of a log: one that is printed again (dmesg, a second console) is not a second failure. */
export class Repeats {
  readonly #seen = new Set<string>();

  clear(): void {
    this.#seen.clear();
  }

  /**
   * Whether the header was seen before, with the same timestamp; without one, in a log whose other lines have timestamps, the
   * same words are enough.
   */
  has(line: KernelLine, stamped: boolean): boolean {
    if (line.time === undefined) return stamped && this.#seen.has(line.text);
    const key = `${line.time} ${line.text}`;
    if (this.#seen.has(key)) return true;
    if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
    this.#seen.add(key);
    this.#seen.add(line.text);
    return false;
  }
}
