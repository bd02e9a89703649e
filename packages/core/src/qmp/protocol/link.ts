import type { Duplex } from 'node:stream';
import { QmpilotError } from '../../errors.js';
import { deferred } from '../../util/async/deferred.js';
import { debugLog } from '../../util/debug-log.js';
import { monotonicMs } from '../../util/time/clock.js';
import { isObject } from '../../util/validation/is-object.js';
import { DEFAULT_MESSAGE_LIMIT, excerpt, LineFramer } from './framing.js';

const log = debugLog('qmp');

/** Too short for a peer to send more and end. */
const JUST_NOW_MS = 1;

export type JsonObject = Readonly<Record<string, unknown>>;

export interface LinkOptions {
  /** The largest message taken, in bytes (default 64 MiB). */
  readonly limit?: number | undefined;
  /** Whose bytes these are, for messages: `QEMU`, `the guest agent`. */
  readonly peer: string;
  /** A byte that voids what came before it in its line. */
  readonly restart?: number | undefined;
  readonly onMessage: (message: JsonObject, text: string) => void;
  /** Called for a line that is no JSON object; unset, such a line ends the link. */
  readonly onGarbage?: ((text: string) => void) | undefined;
  readonly onEnd: (reason: QmpilotError | undefined) => void;
}

/** JSON objects both ways over a byte stream, and the one place that knows why the stream ended. */
export class Link {
  readonly #stream: Duplex;
  readonly #options: LinkOptions;
  readonly #framer: LineFramer;
  readonly #closed = deferred<void>();
  #ended = false;
  #reason: QmpilotError | undefined;
  #endExpected = false;
  #corked = false;
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(stream: Duplex, options: LinkOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#framer = new LineFramer(options.limit ?? DEFAULT_MESSAGE_LIMIT, options.restart);
    stream.on('data', this.#onData);
    stream.on('error', this.#onError);
    stream.on('end', this.#onEof);
    stream.on('close', this.#onEof);
    if (stream.destroyed || stream.readableEnded) queueMicrotask(this.#onEof);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The first cause of the end; undefined while open and after a clean end. */
  get reason(): QmpilotError | undefined {
    return this.#reason;
  }

  /** Resolves when the link has ended, for whatever reason. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** The beginning of what came without a newline yet. */
  get unfinished(): string {
    return this.#framer.peek(200);
  }

  /** From now on the other side may go away at any time, and that is clean. */
  expectEnd(): void {
    this.#endExpected = true;
  }

  send(data: string | Buffer): void {
    // One system call for all commands of one turn of the event loop.
    if (!this.#corked) {
      this.#corked = true;
      this.#stream.cork();
      const write = () => {
        this.#corked = false;
        this.#stream.uncork();
      };
      // A write to a peer that has ended closes the stream with what it sent before: read that first, unless the stream was read just now.
      if (monotonicMs() - this.#readAt < JUST_NOW_MS) process.nextTick(write);
      else setImmediate(write);
    }
    log?.(() => `to ${this.#options.peer}: ${String(data)}`);
    this.#stream.write(data);
  }

  /** @param reason undefined for a clean end */
  end(reason: QmpilotError | undefined): void {
    if (this.#ended) return;
    log?.(() => `the link to ${this.#options.peer} ended${reason === undefined ? '' : `: ${reason.message}`}`);
    this.#ended = true;
    this.#reason = reason;
    this.#framer.reset();
    this.#stream.off('data', this.#onData);
    this.#stream.off('end', this.#onEof);
    this.#stream.off('close', this.#onEof);
    // The 'error' listener stays: a late ECONNRESET must not become an uncaught exception.
    this.#stream.destroy();
    this.#options.onEnd(reason);
    this.#closed.resolve();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#readAt = monotonicMs();
    try {
      this.#framer.push(chunk, this.#deliver);
    } catch (error) {
      if (!(error instanceof QmpilotError)) throw error;
      this.end(error);
    }
  };

  readonly #deliver = (text: string): void => {
    if (this.#ended) return;
    log?.(() => `from ${this.#options.peer}: ${text}`);
    const message = parseObject(text);
    if (message) return this.#options.onMessage(message, text);
    if (this.#options.onGarbage) return this.#options.onGarbage(text);
    throw new QmpilotError('QMP_LINK', `${this.#options.peer} sent data that is not a JSON object: ${excerpt(text)}`, {
      hint: 'check that this is a QMP socket (-qmp, or -mon mode=control), without pretty=on, and that nothing else writes to it',
    });
  };

  readonly #onError = (cause: Error): void => {
    this.end(
      this.#endExpected ? undefined : this.#lost(`the link to ${this.#options.peer} failed: ${cause.message}`, cause),
    );
  };

  readonly #onEof = (): void => {
    this.end(this.#endExpected ? undefined : this.#lost(`${this.#options.peer} closed the link`));
  };

  #lost(message: string, cause?: Error): QmpilotError {
    const rest =
      this.#framer.pending > 0 ? ` in the middle of a message (${this.#framer.pending} bytes of it came)` : '';
    return new QmpilotError('QMP_LINK', message + rest, { ...(cause && { cause }) });
  }
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // Not JSON: told to the caller by the missing value.
  }
  return undefined;
}
