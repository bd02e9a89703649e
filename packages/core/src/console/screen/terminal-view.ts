import unicode11 from '@xterm/addon-unicode11';
import type { IBuffer, Terminal } from '@xterm/headless';
import headless from '@xterm/headless';
import { readCells, type ScreenCell } from './cell.js';
import type { RenderOptions, ScreenImage } from './image.js';
import { renderHtml } from './render-html.js';
import { renderSvg } from './render-svg.js';

/** The size of a terminal. */
export interface ScreenOptions {
  /** Default 80, the size of a serial tty until it is changed. */
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

/** Sequences with a count that xterm.js carries out one by one, up to 2147483647 of them, while nothing else runs. */
const BY_ROW = ['L', 'M', 'S', 'T'] as const;
const BY_COLUMN = ['I', 'Z', 'b'] as const;
/** Between such pieces of what is drawn, others get their turn: 64 KiB of resets take a second. */
const PIECE_BYTES = 4096;
/** Longest string that a program may send to the terminal, such as a title: xterm.js keeps 10 million characters of one that does not end. */
const STRING_BYTES = 1 << 18;
const CANCEL = '\x18';
/** BEL, CAN, SUB and ESC end a string. */
const ENDS_STRING = new Set([0x07, 0x18, 0x1a, 0x1b]);
/** OSC 8: links are not shown here, and xterm.js keeps each as long as its line exists. */
const HYPERLINK = 8;

/** The content of a terminal, which changes as output arrives. */
export class TerminalView {
  protected readonly terminal: Terminal;
  #unended = 0;

  constructor(options: ScreenOptions = {}) {
    this.terminal = new headless.Terminal({
      cols: options.columns ?? 80,
      rows: options.rows ?? 24,
      scrollback: 1000,
      allowProposedApi: true,
      logLevel: 'off',
    });
    // Emoji are two columns wide for tmux and today's terminals; xterm.js by itself goes by Unicode 6.
    this.terminal.loadAddon(new unicode11.Unicode11Addon());
    this.terminal.unicode.activeVersion = '11';
    // A count beyond the screen is none that a program has any use for: it is left out.
    const leaveOut = (limit: () => number) => (params: readonly (number | readonly number[])[]) =>
      Number(params[0]) > limit();
    for (const final of BY_ROW)
      this.terminal.parser.registerCsiHandler(
        { final },
        leaveOut(() => this.rowCount),
      );
    for (const final of BY_COLUMN)
      this.terminal.parser.registerCsiHandler(
        { final },
        leaveOut(() => this.columns),
      );
    this.terminal.parser.registerOscHandler(HYPERLINK, () => true);
  }

  /** Interprets `chunk`, a piece at a time; `drawn` is called when all of it is on the screen. */
  protected draw(chunk: Uint8Array, drawn?: () => void): void {
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      const piece = chunk.subarray(at, at + PIECE_BYTES);
      this.terminal.write(piece, at + PIECE_BYTES < chunk.length ? undefined : drawn);
      this.#endString(piece);
    }
  }

  /** Where no string is open, CAN does nothing; it must not come in the middle of a character. */
  #endString(piece: Uint8Array): void {
    const end = piece.findLastIndex((byte) => ENDS_STRING.has(byte));
    this.#unended = end < 0 ? this.#unended + piece.length : piece.length - end - 1;
    if (this.#unended < STRING_BYTES || (piece.at(-1) ?? 0) >= 0x80) return;
    this.terminal.write(CANCEL);
    this.#unended = 0;
  }

  get columns(): number {
    return this.terminal.cols;
  }

  get rowCount(): number {
    return this.terminal.rows;
  }

  /** Position of the cursor, from 0. */
  get cursor(): { readonly row: number; readonly column: number } {
    return { row: this.#buffer.cursorY, column: this.#buffer.cursorX };
  }

  /** Whether a full-screen program (tmux, less, vim) has switched to the alternate buffer. */
  get alternate(): boolean {
    return this.#buffer.type === 'alternate';
  }

  /** Whether the program asked for the other codes of the cursor keys (DECCKM). */
  get applicationCursorKeys(): boolean {
    return this.terminal.modes.applicationCursorKeysMode;
  }

  /** The visible rows, without spaces at their ends. */
  rows(): string[] {
    return Array.from({ length: this.rowCount }, (_, row) => this.#line(row)?.translateToString(true).trimEnd() ?? '');
  }

  /** The visible rows as one text; empty rows at the bottom are left out. */
  text(): string {
    return this.rows().join('\n').trimEnd();
  }

  /** Everything the terminal remembers: scrolled-off rows (at most 1000), then the visible ones. */
  toText(): string {
    const buffer = this.#buffer;
    const rows = Array.from(
      { length: buffer.length },
      (_, row) => buffer.getLine(row)?.translateToString(true).trimEnd() ?? '',
    );
    return rows.join('\n').trimEnd();
  }

  /** The text inside a rectangle, one string a row, without spaces at their ends. */
  region(region: ScreenRegion): string[] {
    return Array.from({ length: region.rows }, (_, index) =>
      (
        this.#line(region.row + index)?.translateToString(false, region.column, region.column + region.columns) ?? ''
      ).trimEnd(),
    );
  }

  /** The cells of a row, with colours; the second half of a wide character is not a cell. */
  cells(row: number): ScreenCell[] {
    const line = this.#line(row);
    return line ? readCells(line) : [];
  }

  /** The present content as a value. */
  image(): ScreenImage {
    return {
      columns: this.columns,
      rows: Array.from({ length: this.rowCount }, (_, row) => this.cells(row)),
      cursor: this.cursor,
    };
  }

  /** The present content as an SVG picture without external resources; text of the guest is escaped. */
  toSvg(options: RenderOptions = {}): string {
    return renderSvg(this.image(), options);
  }

  /** The present content as a `<pre>` element with inline styles; text of the guest is escaped. */
  toHtml(options: RenderOptions = {}): string {
    return renderHtml(this.image(), options);
  }

  /** Releases the terminal. */
  dispose(): void {
    this.terminal.dispose();
  }

  get #buffer(): IBuffer {
    return this.terminal.buffer.active;
  }

  #line(row: number) {
    return this.#buffer.getLine(this.#buffer.baseY + row);
  }
}
