import { QmpilotError, type ErrorDetails } from '../errors.js';
import { awaitWithin, pause, type WaitOptions } from '../util/async/deadline.js';
import { Listeners } from '../util/async/listeners.js';
import { ByteTail } from './byte-tail.js';
import type { Channel } from './channel.js';
import { keyBytes } from './keys.js';
import { PlainText } from './plain-text.js';
import { Screen } from './screen/screen.js';
import type { ScreenOptions } from './screen/terminal-view.js';
import { TextWindow } from './text-window.js';
import type { TranscriptWriter } from './transcript.js';

/** A screen as the bytes that draw it. */
export interface ConsoleMemory {
  readonly bytes: Uint8Array;
  readonly columns: number;
  readonly rows: number;
}

export interface TypeOptions extends WaitOptions {
  /** Keeps the text out of what is recorded; what the guest echoes of it is on the console all the same. Default false. */
  readonly secret?: boolean | undefined;
}

/** What was typed: a text, or keys by their names; neither when it is a secret. */
export interface Typed {
  readonly text?: string;
  readonly keys?: readonly string[];
}

/** How a console shows and keeps what it gets. */
export interface ConsoleOptions {
  /** Characters of text that are kept for `expect` and `lines`; 1 MiB by default. */
  readonly window?: number;
  readonly screen?: ScreenOptions;
  /** Tells the guest the size of its terminal; `type` is what happens by default: it types `stty`. */
  readonly setSize?: (columns: number, rows: number, type: () => Promise<void>, options: WaitOptions) => Promise<void>;
}

export interface ExpectOptions extends WaitOptions {
  /** Look from this position on; by default from behind the last match. */
  readonly from?: number | undefined;
  /** `false` leaves the place where the next `expect` begins as it is. */
  readonly consume?: boolean | undefined;
}

/** What `expect` found. */
export interface ExpectMatch {
  readonly text: string;
  readonly groups: readonly (string | undefined)[];
  /** Where the match begins and ends, in characters of text since the console began. */
  readonly position: number;
  readonly end: number;
  /** Text between where the search began and the match, as far as it is still held. */
  readonly before: string;
}

/** How far back a match of a regular expression may begin before the text that came last, in characters. */
const MATCH_REACH = 65_536;
/** Raw bytes kept to draw a screen that is asked for late. */
const REPLAY_BYTES = 262_144;
/** Input goes out in such pieces, so that a program that is busy for a moment loses nothing. */
const TYPE_BYTES = 128;
const TYPE_PAUSE_MS = 2;
/** Between keys that are pressed: tmux takes keys less than 1 ms apart for pasted text, and acts on none of them. */
const PRESS_PAUSE_MS = 30;

/** A console of the guest: types into it, waits for what it prints, shows it as a screen. */
export class Console {
  readonly channel: Channel;
  readonly #text: TextWindow;
  readonly #bytes = new Listeners<Buffer>();
  readonly #grown = new Listeners<void>();
  readonly #typed = new Listeners<Typed>();
  #tail = new ByteTail(REPLAY_BYTES);
  readonly #undo: (() => void)[];
  readonly #options: ConsoleOptions;
  #plain = new PlainText();
  #cursor = 0;
  #growth: NodeJS.Immediate | undefined;
  #transcript: TranscriptWriter | undefined;
  #screen: Screen | undefined;
  #typing: Promise<void> = Promise.resolve();

  constructor(channel: Channel, options: ConsoleOptions = {}) {
    this.channel = channel;
    this.#text = new TextWindow(options.window ?? 1 << 20);
    this.#options = options;
    this.#undo = [
      channel.onData((chunk) => this.#take(chunk)),
      channel.onEnd((error) => this.#screen?.end(error)),
      channel.onAttach(() => {
        // Another moment of the guest: half a sequence of before has no rest here.
        this.#plain = new PlainText();
        this.#cursor = this.position;
        this.#screen?.timeJump();
      }),
    ];
  }

  /** Where the next character of text will stand, counted from the console's beginning. */
  get position(): number {
    return this.#text.end;
  }

  /** The terminal this console would be in front of a person; drawn from the last 256 KiB when first asked for. */
  get screen(): Screen {
    if (!this.#screen) {
      this.#screen = new Screen(this.#options.screen);
      this.#screen.feed(this.#tail.bytes());
    }
    return this.#screen;
  }

  /**
   * Sends text as keystrokes; a line feed is the Enter key (CR). Paced, and in order with other calls. It is recorded with the vm's
   * events, unless it is `secret`.
   * @throws {CONSOLE_CLOSED}
   * @throws {ABORTED}
   * @throws {TIMEOUT} when `options.timeout` is given and the guest's side takes no more
   */
  type(text: string, { secret = false, ...options }: TypeOptions = {}): Promise<void> {
    return this.#send(Buffer.from(text.replace(/\r?\n/g, '\r')), options, () =>
      this.#typed.emit(secret ? {} : { text }),
    );
  }

  /**
   * Presses keys one after the other, as a person would, with a pause before each: `press('C-b', 'd')`.
   * @throws {USAGE} for an unknown key; nothing is sent then
   * @throws {CONSOLE_CLOSED}
   */
  async press(...keys: readonly string[]): Promise<void> {
    const applicationCursor = this.#screen?.applicationCursorKeys ?? false;
    for (const [index, bytes] of keys.map((key) => keyBytes(key, { applicationCursor })).entries()) {
      await this.#typing;
      await pause(PRESS_PAUSE_MS);
      await this.#send(Buffer.from(bytes), {}, () => {
        if (index === 0) this.#typed.emit({ keys });
      });
    }
  }

  /**
   * Gives the screen another size and tells the guest, which a serial line cannot do by itself: by `stty` in the console shell, whatever
   * runs on the console (tmux redraws itself), or typed where the guest has no such shell: that takes a prompt.
   * @throws {USAGE} for a size that no terminal has
   */
  async resize(columns: number, rows: number, options: WaitOptions = {}): Promise<void> {
    this.screen.resize(columns, rows);
    const type = () => this.type(`stty columns ${columns} rows ${rows}\n`, options);
    await (this.#options.setSize ?? ((...[, , fallback]) => fallback()))(columns, rows, type, options);
  }

  /** Sends bytes as they are; paced and ordered like `type`, and not recorded. */
  send(bytes: Uint8Array, options: WaitOptions = {}): Promise<void> {
    return this.#send(bytes, options);
  }

  #send(bytes: Uint8Array, options: WaitOptions, onBegin?: () => void): Promise<void> {
    const sent = this.#typing.then(async () => {
      onBegin?.();
      for (let at = 0; at < bytes.length; at += TYPE_BYTES) {
        if (at > 0) await pause(TYPE_PAUSE_MS, options.signal);
        await this.channel.write(bytes.subarray(at, at + TYPE_BYTES), options);
      }
    });
    this.#typing = sent.catch(() => {});
    return sent;
  }

  /**
   * Waits until `pattern` is in the text: escape sequences are not part of it, lines end in `\n`. Looks from
   * behind the last match on, so nothing printed between two calls is missed. A match may span 64 KiB. Limit: 30 s by default.
   * @throws {TIMEOUT} with the last lines
   * @throws {ABORTED}
   * @throws {CONSOLE_CLOSED} when the console ends before
   */
  expect(pattern: string | RegExp, options: ExpectOptions = {}): Promise<ExpectMatch> {
    const from = Math.max(options.from ?? this.#cursor, 0);
    const find = this.#finder(pattern, from);
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
      const failed = this.channel.failure;
      if (look()) return;
      if (failed && this.channel.state !== 'detached') return reject(failed);
      const forget = [
        this.#grown.add(() => void look()),
        this.channel.onEnd((error) => {
          if (!look())
            reject(
              new QmpilotError(error.code, `${error.message}; awaited: ${awaited}`, {
                ...this.#details(),
                cause: error,
              }),
            );
        }),
      ];
      return () => forget.forEach((undo) => undo());
    });
  }

  /** The text from `from` to `to` (positions), as far as it is still held. */
  textBetween(from: number, to = this.position): string {
    return this.#text.slice(from, to);
  }

  /** All lines that are still held, oldest first. */
  lines(): string[] {
    return this.#text.lastLines(Number.MAX_SAFE_INTEGER);
  }

  /** The last lines that are still held, oldest first. */
  lastLines(count: number): string[] {
    return this.#text.lastLines(count);
  }

  /** Raw bytes as they come. A listener that throws is dropped with a process warning. */
  onBytes(listener: (chunk: Buffer) => void): () => void {
    return this.#bytes.add(listener);
  }

  /** What is typed and pressed, when it begins to be sent. */
  onTyped(listener: (typed: Typed) => void): () => void {
    return this.#typed.add(listener);
  }

  /** What the screen shows, for another console that is to show the same. */
  remember(): ConsoleMemory {
    return { bytes: this.#tail.bytes(), columns: this.screen.columns, rows: this.screen.rowCount };
  }

  /** Shows what was remembered: the guest behind the channel is at that moment again, and draws only what changes from there on. Resolves when it is drawn. */
  recall({ bytes, columns, rows }: ConsoleMemory): Promise<void> {
    this.#tail = new ByteTail(REPLAY_BYTES);
    this.#tail.push(bytes);
    this.screen.reset();
    this.screen.resize(columns, rows);
    this.screen.feed(bytes);
    return this.screen.drawn();
  }

  /** From now on raw bytes also go to `writer`; `undefined` ends that. The caller closes the writer. */
  setTranscript(writer: TranscriptWriter | undefined): void {
    this.#transcript = writer;
  }

  /** Detaches from the channel, which stays open; pending waits are rejected when the channel is closed. */
  close(): void {
    for (const undo of this.#undo) undo();
    clearImmediate(this.#growth);
    this.#screen?.dispose();
    this.#transcript = undefined;
    this.#bytes.clear();
    this.#typed.clear();
  }

  #take(chunk: Buffer): void {
    this.#transcript?.write(chunk);
    this.#tail.push(chunk);
    this.#text.append(this.#plain.push(chunk));
    if (this.#screen?.feed(chunk)) this.#screen.whenIdle(this.channel.hold());
    this.#bytes.emit(chunk);
    // Once per turn of the event loop: a search may cost more than a chunk is worth.
    if (this.#grown.size > 0)
      this.#growth ??= setImmediate(() => {
        this.#growth = undefined;
        this.#grown.emit();
      });
  }

  #finder(pattern: string | RegExp, from: number): () => ExpectMatch | undefined {
    let searched = from;
    const expression =
      typeof pattern === 'string' ? undefined : new RegExp(pattern.source, `${pattern.flags.replace(/[gy]/g, '')}g`);
    const result = (text: string, position: number, groups: readonly (string | undefined)[]): ExpectMatch => ({
      text,
      groups,
      position,
      end: position + text.length,
      before: this.#text.slice(from, position),
    });
    return () => {
      const reach = typeof pattern === 'string' ? pattern.length - 1 : MATCH_REACH;
      const start = Math.max(from, searched - reach);
      searched = this.position;
      if (typeof pattern === 'string') {
        const position = this.#text.find(pattern, start);
        return position === undefined ? undefined : result(pattern, position, []);
      }
      const found = expression && this.#text.match(expression, start);
      return found && result(found.match[0], found.position, found.match.slice(1));
    };
  }

  #details(): ErrorDetails {
    const lines = this.lastLines(20).map((line) => line.slice(0, 500));
    return {
      evidence: { console: lines },
      hint:
        lines.length === 0
          ? 'nothing was printed at all: does the guest boot with console=ttyS0?'
          : `the last line was ${JSON.stringify(lines.at(-1))}`,
    };
  }
}
