import { KernelLineFilter } from './kernel-lines.js';
import { TerminalView } from './terminal-view.js';

/** `CSI ? 47 h` and its younger forms: a full-screen program begins. */
const ENTER = /\x1b\[\?(?:1049|1047|47)h/;
const LONGEST_ENTER = 8;
/** How long a byte that may begin a line of the kernel is kept from the program's view. */
const RELEASE_MS = 250;

class Terminal extends TerminalView {
  get xterm() {
    return this.terminal;
  }
}

/**
 * A second terminal, without lines of the kernel. It lives from a full-screen program's beginning to its end: such a program
 * starts on an empty screen, so nothing from before is missed, and a flood of kernel lines without one costs nothing.
 */
export class ProgramView {
  readonly #screen: TerminalView;
  readonly #onChange: () => void;
  readonly #filter = new KernelLineFilter();
  #terminal: Terminal | undefined;
  #tail = '';
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
      this.#write(this.#filter.push(chunk));
      this.#releaseLater();
      return;
    }
    const seam = this.#tail.length;
    const text = this.#tail + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1');
    this.#tail = text.slice(-LONGEST_ENTER);
    const enter = ENTER.exec(text);
    if (!enter) {
      this.#filter.note(chunk);
      return;
    }
    const at = Math.max(0, enter.index + enter[0].length - seam);
    this.#filter.note(chunk.subarray(0, at));
    this.#terminal = this.#start();
    this.#terminal.xterm.write(enter[0]);
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

  #start(): Terminal {
    const terminal = new Terminal({ columns: this.#screen.columns, rows: this.#screen.rowCount });
    terminal.xterm.onWriteParsed(() => {
      // The program has ended: until the next one the screen itself is what counts.
      if (this.#terminal === terminal && !terminal.alternate) this.#stop();
      this.#onChange();
    });
    return terminal;
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#terminal?.dispose();
    this.#terminal = undefined;
  }

  #write(bytes: Buffer): void {
    if (bytes.length > 0) this.#terminal?.xterm.write(bytes);
  }

  #releaseLater(): void {
    clearTimeout(this.#timer);
    if (!this.#filter.holds) return;
    this.#timer = setTimeout(() => this.#write(this.#filter.release()), RELEASE_MS);
    this.#timer.unref();
  }
}
