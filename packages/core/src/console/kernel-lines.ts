/** `[    5.123456] text`, with `[   T12]` or `[   C0]` behind the time where the kernel was built to say who printed. */
const LINE = /\[ {0,4}(\d{1,10}\.\d{6})\](?:\[ *[TC]\d{1,10}\])? [^\n\x1b]{0,2000}\n/g;
/** The end of a chunk that may be the beginning of such a line. */
const UNFINISHED =
  /\[(?: {0,4}(?:\d{1,10}(?:\.(?:\d{0,5}|\d{6}(?:\](?:\[(?: *(?:[TC](?:\d{1,10}(?:\])?)?)?)?)?(?: [^\n\x1b]{0,2000})?)?)?)?)?)$/;
/** Records of two CPUs may be out of order by so many seconds. */
const DISORDER_S = 0.1;
const MAX_REMEMBERED = 512;
/** How much of the end of a chunk is searched for the time of the kernel's last line. */
const NOTE_BYTES = 4096;

/**
 * Removes the kernel's lines from what a program writes to the same serial line. The kernel writes a whole line at any point of
 * the program's output, also in the middle of an escape sequence or a character; what remains are the program's bytes. A line
 * that is older than the kernel's last one, or was printed before, is the program's: `dmesg` prints such lines.
 */
export class KernelLineFilter {
  #held = '';
  #last = -1;
  readonly #recent = new Set<string>();

  /** Whether bytes are held back until more of them show whether they are the kernel's. */
  get holds(): boolean {
    return this.#held !== '';
  }

  push(chunk: Uint8Array): Buffer {
    const text = this.#held + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1');
    let kept = '';
    let from = 0;
    let previousEnd = -1;
    for (const match of text.matchAll(LINE)) {
      const time = Number(match[1]);
      // A record may contain the same line twice.
      const again = this.#recent.has(match[0]) && match.index !== previousEnd;
      if (time < this.#last - DISORDER_S || again) continue;
      this.#remember(match[0], time);
      kept += text.slice(from, match.index);
      from = match.index + match[0].length;
      previousEnd = from;
    }
    const rest = text.slice(from);
    const unfinished = UNFINISHED.exec(rest);
    this.#held = unfinished?.[0] ?? '';
    return Buffer.from(kept + (unfinished ? rest.slice(0, unfinished.index) : rest), 'latin1');
  }

  /** Returns the text that is held back: nothing followed, so it is the program's. */
  release(): Buffer {
    const held = Buffer.from(this.#held, 'latin1');
    this.#held = '';
    return held;
  }

  /** Notes the time of the kernel's last line without removing anything. */
  note(chunk: Uint8Array): void {
    const end = chunk.subarray(-NOTE_BYTES);
    const text = Buffer.from(end.buffer, end.byteOffset, end.byteLength).toString('latin1');
    for (const match of text.matchAll(LINE)) this.#remember(match[0], Number(match[1]));
  }

  /** Starts from scratch for another moment of the guest, whose clock may be earlier. */
  reset(): void {
    this.#held = '';
    this.#last = -1;
    this.#recent.clear();
  }

  #remember(line: string, time: number): void {
    this.#last = Math.max(this.#last, time);
    this.#recent.add(line);
    for (const oldest of this.#recent) {
      if (this.#recent.size <= MAX_REMEMBERED) break;
      this.#recent.delete(oldest);
    }
  }
}
