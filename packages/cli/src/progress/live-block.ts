import stringWidth from 'string-width';

/** The part of a terminal stream that the block needs. */
export interface TerminalStream {
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): boolean;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
}

const HIDE = '\u001b[?25l';
const SHOW = '\u001b[?25h';
const CLEAR_BELOW = '\u001b[J';
const REDRAW_MS = 250;

/**
 * Lines at the bottom of a terminal that are redrawn several times a second, with other lines scrolling by above them. The cursor
 * is shown again when the process exits (except by SIGKILL) and while it is stopped by Ctrl-Z.
 */
export class LiveBlock {
  readonly #stream: TerminalStream;
  readonly #render: (columns: number, rows: number) => readonly string[];
  readonly #timer: NodeJS.Timeout;
  readonly #undo: (() => void)[] = [];
  #drawn: readonly string[] = [];
  #columns: number;
  #closed = false;

  constructor(stream: TerminalStream, render: (columns: number, rows: number) => readonly string[]) {
    this.#stream = stream;
    this.#render = render;
    this.#columns = this.#width;
    const onResize = () => this.#redraw();
    const onExit = () => this.close();
    const onContinue = () => this.#redraw();
    const onSuspend = () => {
      stream.write(SHOW);
      process.kill(process.pid, 'SIGSTOP');
    };
    stream.on('resize', onResize);
    process.on('exit', onExit);
    process.on('SIGCONT', onContinue);
    process.on('SIGTSTP', onSuspend);
    this.#undo.push(
      () => process.off('SIGTSTP', onSuspend),
      () => stream.off('resize', onResize),
      () => process.off('exit', onExit),
      () => process.off('SIGCONT', onContinue),
    );
    this.#timer = setInterval(() => this.#redraw(), REDRAW_MS);
    this.#timer.unref();
    this.#redraw();
  }

  /** Writes lines above the block, to this stream or by `write`. */
  above(text: string, write: (text: string) => void = (out) => void this.#stream.write(out)): void {
    if (this.#closed) return write(text);
    this.#stream.write(this.#erase());
    write(text);
    this.#redraw();
  }

  /** Removes the block, and shows the cursor. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    for (const undo of this.#undo) undo();
    this.#stream.write(`${this.#erase()}${SHOW}`);
  }

  get #width(): number {
    return this.#stream.columns ?? 80;
  }

  #redraw(): void {
    if (this.#closed) return;
    const lines = this.#render(this.#width, this.#stream.rows ?? 24);
    const erased = this.#erase();
    this.#columns = this.#width;
    this.#drawn = lines;
    this.#stream.write(`${HIDE}${erased}${lines.map((line) => `${line}\n`).join('')}`);
  }

  /** Moves to the start of the block. A terminal that became narrower has wrapped its lines: they take more rows than were drawn. */
  #erase(): string {
    const width = Math.max(1, Math.min(this.#columns, this.#width));
    const rows = this.#drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(stringWidth(line) / width)), 0);
    this.#drawn = [];
    return rows === 0 ? '' : `\r\u001b[${rows}A${CLEAR_BELOW}`;
  }
}
