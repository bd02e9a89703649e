import { randomBytes } from 'node:crypto';
import { EndMark } from '../../shell/end-mark.js';

/** What the host sends when it has the exit code: ACK of ASCII. */
export const ACKNOWLEDGE = '\u0006';
/** How often the mark behind the process is printed again, at intervals of a second. */
const REPEATS = 600;

/**
 * Takes the marks out of a terminal's output that the wrapper of a process prints before and behind it. The output in between is
 * the process's.
 */
export class ProcessMarks {
  readonly #nonce = randomBytes(8).toString('hex');
  readonly #end: EndMark;
  #early: Buffer | undefined = Buffer.alloc(0);
  #passed: Buffer[] = [];

  constructor() {
    this.#end = new EndMark(Buffer.from(`\u0001E${this.#nonce}:`), (bytes) => this.#passed.push(bytes));
  }

  /** Source for a POSIX shell that prints the mark before the process. */
  get printBegin(): string {
    return `printf '\\001B%s\\001' ${this.#nonce}`;
  }

  /** Source for a POSIX shell that prints the mark behind the process, with the exit code in `$code`. */
  get printEnd(): string {
    return `printf '\\001E%s:%d\\002' ${this.#nonce} "$code"`;
  }

  /** Source for bash that prints it again until the host acknowledges: QEMU drops what comes while the host does not read. */
  get repeatEnd(): string {
    return `for ((n = 0; n < ${REPEATS}; n++)); do IFS= read -rs -t 1 -d $'\\006'; (($? > 128)) || break; ${this.printEnd}; done`;
  }

  get hasBegun(): boolean {
    return this.#early === undefined;
  }

  /** The exit code; undefined before it has come. */
  get exitCode(): number | undefined {
    // The end of the first mark may be lost, and another one follow.
    const code = /(?:^|:)(\d{1,3})\u0002/.exec(this.#end.tail ?? '')?.[1];
    return code === undefined ? undefined : Math.min(Number(code), 255);
  }

  /** Returns the output of the process in the next piece of the terminal's output. */
  push(chunk: Buffer): Buffer {
    let rest = chunk;
    if (this.#early !== undefined) {
      const mark = `\u0001B${this.#nonce}\u0001`;
      const text = Buffer.concat([this.#early, chunk]);
      const at = text.indexOf(mark);
      this.#early = at === -1 ? Buffer.from(text.subarray(-mark.length)) : undefined;
      if (at === -1) return Buffer.alloc(0);
      rest = text.subarray(at + mark.length);
    }
    this.#end.push(rest);
    return Buffer.concat(this.#passed.splice(0));
  }
}
