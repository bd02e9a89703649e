/** `[    5.123456] text`, with `[   T12]` or `[   C0]` behind the time where the kernel was built to say who printed. */
const LINE = /\[ {0,4}(\d{1,10}\.\d{6})\](?:\[ *[TC]\d{1,10}\])? [^\n\x1b]{0,2000}\n/g;
/** A piece at the end of a chunk that may still become such a line. */
const UNFINISHED =
  /\[(?: {0,4}(?:\d{1,10}(?:\.(?:\d{0,5}|\d{6}(?:\](?:\[(?: *(?:[TC](?:\d{1,10}(?:\])?)?)?)?)?(?: [^\n\x1b]{0,2000})?)?)?)?)?)$/;
/** Records of two CPUs may come in the other order, by so many seconds. */
const DISORDER_S = 0.1;
const REMEMBERED = 512;
/** How far from its end a chunk is searched for the time of the kernel's last line. */
const LOOK_BACK = 4096;

/**
 * Takes the kernel's own lines out of what a program writes to the same serial line. The kernel writes a line whole, wherever
 * the program is, in the middle of an escape sequence or of a character as well; without it the program's bytes are
 * as they were. A line that is older than the kernel's last one, or has come before, is the program's: `dmesg` shows such.
 */
export class KernelLineFilter {
  #held = '';
  #last = -1;
  readonly #recent = new Set<string>();

  /** What is held back until more tells whether it is the kernel's. */
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
      // A record of several lines may have the same line twice.
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

  /** Gives up what is held back: nothing more came, so it was the program's. */
  release(): Buffer {
    const held = Buffer.from(this.#held, 'latin1');
    this.#held = '';
    return held;
  }

  /** Learns the time of the kernel's last line without taking anything out. */
  note(chunk: Uint8Array): void {
    const end = chunk.subarray(-LOOK_BACK);
    const text = Buffer.from(end.buffer, end.byteOffset, end.byteLength).toString('latin1');
    for (const match of text.matchAll(LINE)) this.#remember(match[0], Number(match[1]));
  }

  /** Another moment of the guest: its clock may stand earlier. */
  reset(): void {
    this.#held = '';
    this.#last = -1;
    this.#recent.clear();
  }

  #remember(line: string, time: number): void {
    this.#last = Math.max(this.#last, time);
    this.#recent.add(line);
    for (const oldest of this.#recent) {
      if (this.#recent.size <= REMEMBERED) break;
      this.#recent.delete(oldest);
    }
  }
}
