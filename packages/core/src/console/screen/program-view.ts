import { KernelLineFilter } from '../kernel-lines.js';
import { TerminalView } from './terminal-view.js';

/**
 * A full-screen program begins: the alternate buffer, or on terminals that have none (a serial getty says TERM=vt220) a screen that is
 * cleared. Either way what is shown before does not matter any more.
 */
const BEGIN = /\x1b\[\?(?:1049|1047|47)h|\x1b\[(?:H|1;1H)?\x1b\[[02]?J|\x1b\[2J/;
const LONGEST_BEGIN = 12;
/** A full-screen program moves the cursor about: `CSI row ; column H`, `CSI top ; bottom r`. */
const ADDRESSES = /\x1b\[[\d;]*[Hfr]/;
/** So much without one is lines after lines: a shell, or the log of a boot. */
const LINES_LIMIT = 4096;
/** How long a byte that may begin a line of the kernel is kept from the program's view. */
const RELEASE_MS = 250;

class Terminal extends TerminalView {
  get xterm() {
    return this.terminal;
  }

  show(bytes: Uint8Array): void {
    this.draw(bytes);
  }
}

/**
 * A second terminal, without lines of the kernel. It lives from a full-screen program's beginning to its end: such a program
 * starts on an empty screen, so nothing from before is missed, and a flood of lines without one costs nothing.
 */
export class ProgramView {
  readonly #screen: TerminalView;
  readonly #onChange: () => void;
  readonly #filter = new KernelLineFilter();
  #terminal: Terminal | undefined;
  #tail = '';
  #sinceAddress = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(screen: TerminalView, onChange: () => void) {
    this.#screen = screen;
    this.#onChange = onChange;
  }

  get view(): TerminalView | undefined {
    return this.#terminal;
  }

  feed(chunk: Uint8Array): void {
    if (this.#terminal) {
      this.#take(this.#filter.push(chunk));
      return;
    }
    const seam = this.#tail.length;
    const text = this.#tail + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1');
    this.#tail = text.slice(-LONGEST_BEGIN);
    const begin = BEGIN.exec(text);
    if (!begin) {
      this.#filter.note(chunk);
      return;
    }
    const at = Math.max(0, begin.index + begin[0].length - seam);
    this.#filter.note(chunk.subarray(0, at));
    this.#terminal = this.#start();
    this.#sinceAddress = 0;
    this.#tail = '';
    this.#terminal.xterm.write(begin[0]);
    this.feed(chunk.subarray(at));
  }

  whenIdle(call: () => void): void {
    if (this.#terminal) this.#terminal.xterm.write('', call);
    else call();
  }

  resize(columns: number, rows: number): void {
    this.#terminal?.xterm.resize(columns, rows);
  }

  reset(): void {
    this.#stop();
    this.#filter.reset();
    this.#tail = '';
  }

  timeJump(): void {
    this.#filter.reset();
  }

  dispose(): void {
    this.#stop();
  }

  #take(bytes: Buffer): void {
    this.#sinceAddress = ADDRESSES.test(bytes.toString('latin1')) ? 0 : this.#sinceAddress + bytes.length;
    if (this.#sinceAddress > LINES_LIMIT && this.#terminal?.alternate === false) return this.#stop();
    this.#write(bytes);
    this.#releaseLater();
  }

  #start(): Terminal {
    const terminal = new Terminal({ columns: this.#screen.columns, rows: this.#screen.rowCount });
    // The program has ended: until the next one the screen itself is what counts.
    terminal.xterm.buffer.onBufferChange((buffer) => {
      if (this.#terminal === terminal && buffer.type === 'normal') queueMicrotask(() => this.#stop());
    });
    terminal.xterm.onWriteParsed(() => this.#onChange());
    return terminal;
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#terminal?.dispose();
    this.#terminal = undefined;
  }

  #write(bytes: Buffer): void {
    if (bytes.length > 0) this.#terminal?.show(bytes);
  }

  #releaseLater(): void {
    clearTimeout(this.#timer);
    if (!this.#filter.holds) return;
    this.#timer = setTimeout(() => this.#write(this.#filter.release()), RELEASE_MS);
    this.#timer.unref();
  }
}
