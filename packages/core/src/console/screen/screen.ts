import type { WaitOptions } from '../../util/async/deadline.js';
import { Listeners } from '../../util/async/listeners.js';
import { wholeNumber } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import { characterGrid, findPanes, paneTitle, statusRow, type PaneLayout } from './panes.js';
import { ProgramView } from './program-view.js';
import type { Pane, PaneSelector, ScreenMatch, ScreenWaitOptions, SettleOptions } from './screen-part.js';
import { checkScreenWait, checkSettle, checkWaitUntil } from './screen-schema.js';
import { settle, waitForText, waitUntil } from './screen-wait.js';
import { TerminalView, type ScreenOptions, type ScreenRegion } from './terminal-view.js';

/** Bytes that wait to be interpreted before reading is held. */
const BACKLOG_LIMIT = 1 << 20;
/** Columns or rows. */
const MAX_SIZE = 1000;

/**
 * A console's output as a terminal of the xterm family shows it to a person, with what the kernel writes across it. While
 * a full-screen program runs, `program` is the same without the kernel's lines, and waits and panes go by that.
 */
export class Screen extends TerminalView {
  readonly #changes = new Listeners<void>();
  readonly #ends = new Listeners<Error>();
  readonly #program: ProgramView;
  #layout: PaneLayout | undefined;
  #backlog = 0;

  constructor(options: ScreenOptions = {}) {
    super(options);
    this.#program = new ProgramView(this, () => this.#changes.emit());
    this.terminal.onWriteParsed(() => this.#changes.emit());
  }

  /** Interprets `chunk` in the background. Returns true when so much waits that more should be held back until `whenIdle` calls. */
  feed(chunk: Uint8Array): boolean {
    this.#backlog += chunk.length;
    this.#program.feed(chunk);
    this.draw(chunk, () => {
      this.#backlog -= chunk.length;
    });
    return this.#backlog > BACKLOG_LIMIT;
  }

  /** Calls once, when everything fed so far is on the screen. */
  whenIdle(call: () => void): void {
    this.terminal.write('', () => this.#program.whenIdle(call));
  }

  /** Resolves when everything fed so far is on the screen. */
  drawn(): Promise<void> {
    return new Promise((resolve) => this.whenIdle(resolve));
  }

  /** The screen as the running full-screen program drew it: without lines of the kernel. Without such a program, the screen itself. */
  get program(): TerminalView {
    return this.#program.view ?? this;
  }

  /** The panes of tmux, separated by the lines between them; a screen without such lines is one pane. */
  panes(): Pane[] {
    const view = this.program;
    const rows = Array.from({ length: view.rowCount }, (_, row) => view.cells(row));
    const grid = characterGrid(rows, view.columns);
    const fullScreen = this.alternate || view !== this;
    const status = fullScreen ? statusRow(rows) : undefined;
    const window = {
      row: status === 'top' ? 1 : 0,
      column: 0,
      rows: view.rowCount - (status ? 1 : 0),
      columns: view.columns,
    };
    this.#layout = findPanes(grid, window, fullScreen ? this.#layout : undefined);
    const { borders } = this.#layout;
    return this.#layout.panes.map((region, index) => {
      const lines = view.region(region);
      return {
        index,
        title: paneTitle(grid, region, borders),
        active: isInside(view.cursor, region),
        region,
        rows: lines,
        text: lines.join('\n').trimEnd(),
      };
    });
  }

  /** One pane; undefined when there is none such now. */
  pane(selector: PaneSelector): Pane | undefined {
    const panes = this.panes();
    if (typeof selector === 'number') return panes.at(selector);
    return panes.find((pane) => (selector === 'active' ? pane.active : pane.title.includes(selector.title)));
  }

  /** Changes the size on this side only; `console.resize` sets that of the guest's terminal as well. */
  resize(columns: number, rows: number): void {
    validate(wholeNumber(2, MAX_SIZE), columns, 'resize: columns');
    validate(wholeNumber(1, MAX_SIZE), rows, 'resize: rows');
    this.terminal.resize(columns, rows);
    this.#program.resize(columns, rows);
    this.#changes.emit();
  }

  /** Clears the screen, as at power-on. */
  reset(): void {
    this.terminal.reset();
    this.#program.reset();
    this.#layout = undefined;
    this.#changes.emit();
  }

  /** @internal What comes next is of another moment of the guest. */
  timeJump(): void {
    this.#program.timeJump();
  }

  /** Calls `listener` when something was drawn; returns an unsubscribe function. */
  onChange(listener: () => void): () => void {
    return this.#changes.add(listener);
  }

  /** @internal */
  onEnd(listener: (error: Error) => void): () => void {
    return this.#ends.add(listener);
  }

  /**
   * Waits until `pattern` is on the screen: anywhere, or in the row, region or pane that is named. Limit: 30 s by default.
   * @throws {TIMEOUT} with what the screen showed last
   * @throws {ABORTED}
   * @throws {CONSOLE_CLOSED} when the console ends before
   */
  async waitFor(pattern: string | RegExp, options: ScreenWaitOptions = {}): Promise<ScreenMatch> {
    checkScreenWait(pattern, options);
    return waitForText(this, pattern, options);
  }

  /** Waits until `probe`, which is called after every change, returns something else than `undefined`, and returns that. Limit: 30 s by default. */
  async waitUntil<T>(awaited: string, probe: (screen: Screen) => T | undefined, options: WaitOptions = {}): Promise<T> {
    checkWaitUntil(awaited, probe, options);
    return waitUntil(this, awaited, probe, options);
  }

  /**
   * Waits until the text of the screen, or of the row, region or pane that is named, has not changed for `quiet` (500 ms by
   * default), and returns it. Limit: 30 s by default.
   * @throws {TIMEOUT} {ABORTED} {CONSOLE_CLOSED} as `waitFor`
   */
  async settle(options: SettleOptions = {}): Promise<string[]> {
    checkSettle(options);
    return settle(this, options);
  }

  /** Rejects pending waits, as nothing more will be drawn. */
  end(error: Error): void {
    this.whenIdle(() => this.#ends.emit(error));
  }

  /** Rejects pending waits, and releases the terminal. */
  close(error: Error): void {
    this.#ends.emit(error);
    this.dispose();
  }

  /** Releases the terminal; pending waits are not rejected. */
  override dispose(): void {
    super.dispose();
    this.#program.dispose();
  }
}

function isInside({ row, column }: { readonly row: number; readonly column: number }, region: ScreenRegion): boolean {
  return (
    row >= region.row &&
    row < region.row + region.rows &&
    column >= region.column &&
    column <= region.column + region.columns - 1
  );
}
