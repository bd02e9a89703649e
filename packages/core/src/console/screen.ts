import type { IBuffer, Terminal } from '@xterm/headless';
import headless from '@xterm/headless';
import { QmpilotError, type ErrorDetails } from '../errors.js';
import { awaitWithin, type WaitOptions } from '../util/deadline.js';
import { Listeners } from './listeners.js';
import { readCells, type ScreenCell } from './screen-cell.js';

export interface ScreenOptions {
  /** 80 by default: what a serial tty has until somebody says otherwise. */
  readonly columns?: number;
  /** 24 by default. */
  readonly rows?: number;
}

/** A rectangle of cells; rows and columns count from 0. */
export interface ScreenRegion {
  readonly row: number;
  readonly column: number;
  readonly rows: number;
  readonly columns: number;
}

export interface ScreenWaitOptions extends WaitOptions {
  /** Look at this row only, from 0; a negative one counts from the last row. */
  readonly row?: number | undefined;
  /** Look at this rectangle only. */
  readonly region?: ScreenRegion | undefined;
}

export interface ScreenMatch {
  readonly text: string;
  readonly groups: readonly (string | undefined)[];
  /** Row of the match's beginning, from 0 at the top of what was looked at. */
  readonly row: number;
}

/** Bytes that wait to be interpreted before reading is held. */
const BACKLOG_LIMIT = 1 << 20;

/** A console's output as a terminal of the xterm family shows it. */
export class Screen {
  readonly #terminal: Terminal;
  readonly #changes = new Listeners<void>();
  readonly #ends = new Listeners<Error>();
  #backlog = 0;

  constructor(options: ScreenOptions = {}) {
    this.#terminal = new headless.Terminal({
      cols: options.columns ?? 80,
      rows: options.rows ?? 24,
      scrollback: 1000,
      allowProposedApi: true,
      logLevel: 'off',
    });
    this.#terminal.onWriteParsed(() => this.#changes.emit());
  }

  /** Interprets `chunk`, soon. Gives `true` when so much waits that more should be held back until `whenIdle` calls. */
  feed(chunk: Uint8Array): boolean {
    this.#backlog += chunk.length;
    this.#terminal.write(chunk, () => {
      this.#backlog -= chunk.length;
    });
    return this.#backlog > BACKLOG_LIMIT;
  }

  /** Calls once, when everything fed so far is on the screen. */
  whenIdle(call: () => void): void {
    this.#terminal.write('', call);
  }

  /** Resolves when everything fed so far is on the screen. */
  settled(): Promise<void> {
    return new Promise((resolve) => this.whenIdle(resolve));
  }

  get columns(): number {
    return this.#terminal.cols;
  }

  get rowCount(): number {
    return this.#terminal.rows;
  }

  /** Where the cursor stands, from 0. */
  get cursor(): { readonly row: number; readonly column: number } {
    return { row: this.#buffer.cursorY, column: this.#buffer.cursorX };
  }

  /** Whether a full-screen program (tmux, less, vim) has switched to the alternate buffer. */
  get alternate(): boolean {
    return this.#buffer.type === 'alternate';
  }

  /** The visible rows, without spaces at their ends. */
  rows(): string[] {
    return Array.from({ length: this.rowCount }, (_, row) => this.#line(row)?.translateToString(true) ?? '');
  }

  /** The visible rows as one text; empty rows at the bottom are left out. */
  text(): string {
    return this.rows().join('\n').trimEnd();
  }

  /** Everything the terminal remembers: scrolled-off rows (at most 1000), then the visible ones. */
  toText(): string {
    const buffer = this.#buffer;
    const rows = Array.from({ length: buffer.length }, (_, row) => buffer.getLine(row)?.translateToString(true) ?? '');
    return rows.join('\n').trimEnd();
  }

  /** The text inside a rectangle, one string a row, without spaces at their ends. */
  region(region: ScreenRegion): string[] {
    return Array.from({ length: region.rows }, (_, index) =>
      (this.#line(region.row + index)?.translateToString(false, region.column, region.column + region.columns) ?? '').trimEnd(),
    );
  }

  /** The cells of a row, with colours; the second half of a wide character is no cell of its own. */
  cells(row: number): ScreenCell[] {
    const line = this.#line(row);
    return line ? readCells(line) : [];
  }

  /** Changes this side's size only: the guest has to be told by `stty` on a serial line. */
  resize(columns: number, rows: number): void {
    if (!Number.isInteger(columns) || !Number.isInteger(rows) || columns < 2 || rows < 1 || columns > 1000 || rows > 1000) {
      throw new QmpilotError('USAGE', `a screen cannot have ${columns} columns and ${rows} rows`);
    }
    this.#terminal.resize(columns, rows);
    this.#changes.emit();
  }

  /** Empty again, as after power-on. */
  reset(): void {
    this.#terminal.reset();
    this.#changes.emit();
  }

  onChange(listener: () => void): () => void {
    return this.#changes.add(listener);
  }

  /**
   * Waits until `pattern` is on the screen, whole or in the row or region named. Limit: 30 s by default.
   * @throws {TIMEOUT} with what the screen showed last
   * @throws {ABORTED}
   * @throws {CONSOLE_CLOSED} when the console ends before
   */
  waitFor(pattern: string | RegExp, options: ScreenWaitOptions = {}): Promise<ScreenMatch> {
    return this.waitUntil(
      `${pattern instanceof RegExp ? pattern : JSON.stringify(pattern)} on the screen`,
      () => findOnScreen(this.#view(options).join('\n'), pattern),
      options,
    );
  }

  /** Waits until `probe`, called after every change, gives something else than `undefined`. */
  waitUntil<T>(awaited: string, probe: (screen: Screen) => T | undefined, options: WaitOptions = {}): Promise<T> {
    const details = (): ErrorDetails => ({
      evidence: { console: this.rows() },
      hint: 'what the screen showed last is in evidence.console',
    });
    return awaitWithin<T>({ awaited, defaultTimeout: 30_000, details }, options, (resolve, reject) => {
      const look = () => {
        try {
          const value = probe(this);
          if (value !== undefined) resolve(value);
        } catch (error) {
          reject(error);
        }
      };
      const forget = [this.#changes.add(look), this.#ends.add(reject)];
      this.whenIdle(look);
      return () => forget.forEach((undo) => undo());
    });
  }

  /** Tells those who wait that nothing more will come. */
  end(error: Error): void {
    this.whenIdle(() => this.#ends.emit(error));
  }

  dispose(): void {
    this.#terminal.dispose();
  }

  #view(options: ScreenWaitOptions): string[] {
    const rows = options.region ? this.region(options.region) : this.rows();
    return options.row === undefined ? rows : [rows.at(options.row) ?? ''];
  }

  get #buffer(): IBuffer {
    return this.#terminal.buffer.active;
  }

  #line(row: number) {
    return this.#buffer.getLine(this.#buffer.baseY + row);
  }
}

function findOnScreen(text: string, pattern: string | RegExp): ScreenMatch | undefined {
  const match = typeof pattern === 'string' ? undefined : new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, '')).exec(text);
  const index = typeof pattern === 'string' ? text.indexOf(pattern) : (match?.index ?? -1);
  if (index < 0) return undefined;
  const found = typeof pattern === 'string' ? pattern : (match?.[0] ?? '');
  return { text: found, groups: match?.slice(1) ?? [], row: text.slice(0, index).split('\n').length - 1 };
}
