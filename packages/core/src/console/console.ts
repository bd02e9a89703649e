import { QmpilotError, type ErrorDetails } from '../errors.js';
import { awaitWithin, type WaitOptions } from '../util/async/deadline.js';
import { Listeners } from '../util/async/listeners.js';
import { ByteTail } from './byte-tail.js';
import type { Channel } from './channel.js';
import { ConsoleInput } from './console-input.js';
import { checkExpect, checkResizeOptions } from './console-schema.js';
import { expectFinder, type ExpectMatch, type ExpectOptions } from './expect.js';
import { PlainText } from './plain-text.js';
import { Screen } from './screen/screen.js';
import type { ScreenOptions } from './screen/terminal-view.js';
import { TextWindow } from './text-window.js';
import type { TranscriptWriter } from './transcript.js';
import type { Typed, TypeOptions } from './type-options.js';

/** A screen as the bytes that draw it. */
export interface ConsoleMemory {
  readonly bytes: Uint8Array;
  readonly columns: number;
  readonly rows: number;
}

/** Size of what a console keeps, and how its screen looks. */
export interface ConsoleOptions {
  /** Characters of text that are kept for `expect` and `lines`; 1 MiB by default. */
  readonly window?: number;
  readonly screen?: ScreenOptions;
  /** Sets the size of the guest's terminal; `type` is the default: it types `stty`. */
  readonly setSize?: (columns: number, rows: number, type: () => Promise<void>, options: WaitOptions) => Promise<void>;
}

/** Raw bytes that are kept to draw a screen that is first used later. */
const REPLAY_BYTES = 262_144;
/** A console of the guest: types into it, waits for what it prints, shows it as a screen. */
export class Console {
  readonly channel: Channel;
  readonly #input: ConsoleInput;
  readonly #text: TextWindow;
  readonly #bytes = new Listeners<Buffer>();
  readonly #transcript = new Listeners<Buffer>();
  readonly #grown = new Listeners<void>();
  readonly #ended = new Listeners<QmpilotError>();
  #tail = new ByteTail(REPLAY_BYTES);
  readonly #undo: (() => void)[];
  readonly #options: ConsoleOptions;
  #plain = new PlainText();
  #cursor = 0;
  #growth: NodeJS.Immediate | undefined;
  #screen: Screen | undefined;
  #closed: QmpilotError | undefined;

  constructor(channel: Channel, options: ConsoleOptions = {}) {
    this.channel = channel;
    this.#input = new ConsoleInput(channel);
    this.#text = new TextWindow(options.window ?? 1 << 20);
    this.#options = options;
    this.#undo = [
      channel.onData((chunk) => this.#take(chunk)),
      channel.onEnd((error) => {
        this.#screen?.end(error);
        this.#ended.emit(error);
      }),
      channel.onAttach(() => {
        // Another moment of the guest: the rest of a sequence that has begun will not follow.
        this.#plain = new PlainText();
        this.#cursor = this.position;
        this.#screen?.timeJump();
      }),
    ];
  }

  /** Position of the next character of text, counted from the console's beginning. */
  get position(): number {
    return this.#text.end;
  }

  /** The terminal that shows this console's output; drawn from the last 256 KiB on first access. */
  get screen(): Screen {
    if (!this.#screen) {
      this.#screen = new Screen(this.#options.screen);
      this.#screen.feed(this.#tail.bytes());
    }
    return this.#screen;
  }

  /**
   * Sends text as keystrokes; a line feed is the Enter key (CR). Paced, and in order with other calls. It is recorded with the VM's
   * events, unless it is `secret`.
   * @throws {USAGE} {CONSOLE_CLOSED} {ABORTED}
   * @throws {TIMEOUT} when `options.timeout` is given and the guest's side takes no more
   */
  type(text: string, options: TypeOptions = {}): Promise<void> {
    return this.#input.type(text, options);
  }

  /**
   * Presses keys one after the other, as a person would, with a pause before each: `press('C-b', 'd')`.
   * @throws {USAGE} for an unknown key; nothing is sent then
   * @throws {CONSOLE_CLOSED}
   */
  press(...keys: readonly string[]): Promise<void> {
    return this.#input.press(keys, this.#screen?.applicationCursorKeys ?? false);
  }

  /** Sends bytes as they are; paced and ordered like `type`, and not recorded. Throws what `type` throws. */
  send(bytes: Uint8Array, options: WaitOptions = {}): Promise<void> {
    return this.#input.send(bytes, options);
  }

  /**
   * Gives the screen another size and tells the guest, which a serial line cannot do by itself: by `stty` in the console shell, whatever
   * runs on the console (tmux redraws itself), or typed where the guest has no such shell: that takes a prompt.
   * @throws {USAGE} for less than 2 columns or 1 row, or more than 1000
   */
  async resize(columns: number, rows: number, options: WaitOptions = {}): Promise<void> {
    checkResizeOptions(options);
    this.screen.resize(columns, rows);
    const type = () => this.type(`stty columns ${columns} rows ${rows}\n`, options);
    await (this.#options.setSize ?? ((...[, , fallback]) => fallback()))(columns, rows, type, options);
  }

  /**
   * Waits until `pattern` is in the text: escape sequences are not part of it, lines end in `\n`. Looks from
   * behind the last match on, so nothing printed between two calls is missed. A match may span 64 KiB. Limit: 30 s by default.
   * @throws {TIMEOUT} with the last lines
   * @throws {USAGE} {ABORTED}
   * @throws {CONSOLE_CLOSED} when the console ends before
   */
  async expect(pattern: string | RegExp, options: ExpectOptions = {}): Promise<ExpectMatch> {
    checkExpect(pattern, options);
    const find = expectFinder(this.#text, pattern, Math.max(options.from ?? this.#cursor, 0));
    const awaited = `${pattern instanceof RegExp ? pattern : JSON.stringify(pattern)} on ${this.channel.name}`;
    const details = () => this.#details();
    return awaitWithin<ExpectMatch>({ awaited, defaultTimeout: 30_000, details }, options, (resolve, reject) => {
      const look = (): boolean => {
        const found = find();
        if (!found) return false;
        if (options.consume !== false) this.#cursor = found.end;
        resolve(found);
        return true;
      };
      const failed = this.#closed ?? this.channel.failure;
      if (look()) return;
      if (failed && (this.#closed || this.channel.state !== 'detached')) return reject(failed);
      const ended = (cause: QmpilotError) =>
        new QmpilotError(cause.code, `${cause.message}; awaited: ${awaited}`, { ...this.#details(), cause });
      const unsubscribe = [
        this.#grown.add(() => void look()),
        this.#ended.add((error) => {
          if (!look()) reject(ended(error));
        }),
      ];
      return () => unsubscribe.forEach((undo) => undo());
    });
  }

  /** The text from `from` to `to` (positions), as far as it is still kept. */
  textBetween(from: number, to = this.position): string {
    return this.#text.slice(from, to);
  }

  /** All lines that are still kept, oldest first. */
  lines(): string[] {
    return this.#text.lastLines(Number.MAX_SAFE_INTEGER);
  }

  /** The last lines that are still kept, oldest first. */
  lastLines(count: number): string[] {
    return this.#text.lastLines(count);
  }

  /** Calls `listener` with raw bytes; one that throws is removed, with a process warning. Returns an unsubscribe function. */
  onBytes(listener: (chunk: Buffer) => void): () => void {
    return this.#bytes.add(listener);
  }

  /** Calls `listener` with what is typed or pressed, when sending begins; returns an unsubscribe function. */
  onTyped(listener: (typed: Typed) => void): () => void {
    return this.#input.onTyped(listener);
  }

  /** Returns the bytes that draw the screen, for a console that will show the same. */
  remember(): ConsoleMemory {
    return { bytes: this.#tail.bytes(), columns: this.screen.columns, rows: this.screen.rowCount };
  }

  /** Draws a remembered screen: the guest behind the channel is at that moment again, and draws only changes from there on. Resolves when it is drawn. */
  recall({ bytes, columns, rows }: ConsoleMemory): Promise<void> {
    this.#tail = new ByteTail(REPLAY_BYTES);
    this.#tail.push(bytes);
    this.screen.reset();
    this.screen.resize(columns, rows);
    this.screen.feed(bytes);
    return this.screen.drawn();
  }

  /** Also writes raw bytes to `writer` from now on; `undefined` ends that, and so does one that throws. The caller closes the writer. */
  setTranscript(writer: TranscriptWriter | undefined): void {
    this.#transcript.clear();
    if (writer) this.#transcript.add((chunk) => writer.write(chunk));
  }

  /** Detaches from the channel, which stays open. Pending and later waits and input are rejected with CONSOLE_CLOSED. */
  close(): void {
    if (this.#closed) return;
    this.#closed = new QmpilotError('CONSOLE_CLOSED', `console ${this.channel.name} was closed`);
    for (const undo of this.#undo) undo();
    clearImmediate(this.#growth);
    this.#screen?.close(this.#closed);
    this.#transcript.clear();
    this.#bytes.clear();
    this.#input.close(this.#closed);
    this.#ended.emit(this.#closed);
    this.#ended.clear();
  }

  #take(chunk: Buffer): void {
    this.#transcript.emit(chunk);
    this.#tail.push(chunk);
    this.#text.append(this.#plain.push(chunk));
    if (this.#screen?.feed(chunk)) this.#screen.whenIdle(this.channel.hold());
    this.#bytes.emit(chunk);
    // Once per turn of the event loop: a search may cost more than reading a chunk.
    if (this.#grown.size > 0)
      this.#growth ??= setImmediate(() => {
        this.#growth = undefined;
        this.#grown.emit();
      });
  }

  #details(): ErrorDetails {
    const lines = this.lastLines(20).map((line) => line.slice(0, 500));
    return {
      evidence: { console: lines },
      hint:
        lines.length === 0
          ? 'nothing was printed: does the guest boot with console=ttyS0?'
          : `the last line was ${JSON.stringify(lines.at(-1))}`,
    };
  }
}
