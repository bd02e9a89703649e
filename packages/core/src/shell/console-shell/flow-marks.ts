import type { Channel } from '../../console/channel.js';
import { awaitWithin } from '../../util/async/deadline.js';
import { deferred } from '../../util/async/deferred.js';
import { describeCommand } from '../exec-result.js';
import type { ExecStream } from '../exec-stream.js';
import { readExitCode } from '../exit-code.js';
import type { Mark } from './frames.js';
import { Window } from './window.js';

/** How long a killed command may take to say that it ended. */
const KILL_MS = 5000;
const NEWLINE = Buffer.from('\n');

/** Separates the two outputs and the end of a streamed command in the bytes that the helper sends. */
export class FlowMarks {
  readonly #stream: ExecStream;
  readonly #ended = deferred<void>();
  readonly #broken = deferred<never>();
  #running = false;
  #exitCode: number | undefined;
  #stderrEnded = false;
  /** The newline of the last line of stderr: the one that ends the stream is not the command's. */
  #newline = false;

  readonly #windows: { readonly stdout: Window; readonly stderr: Window };

  constructor(stream: ExecStream, channel: Channel) {
    this.#stream = stream;
    this.#windows = { stdout: new Window(channel, '.'), stderr: new Window(channel, '!') };
  }

  bytes(bytes: Buffer): void {
    if (this.#running && this.#exitCode === undefined) this.#push('stdout', bytes);
  }

  /** `e` is a piece of stderr; `E` one with a line end behind it, which is the command's if more follows. */
  mark({ letter, payload }: Mark): void {
    if (letter === 'S') this.#running = true;
    if ((letter === 'e' || letter === 'E') && !this.#stderrEnded) {
      if (this.#newline) this.#stream.push('stderr', NEWLINE);
      this.#newline = letter === 'E';
      this.#push('stderr', payload);
    }
    if (letter === 'Y') this.#stderrEnded = true;
    if (letter === 'X') this.#exit(payload.toString());
    if (this.#exitCode !== undefined && this.#stderrEnded) this.#ended.resolve();
  }

  #exit(said: string): void {
    try {
      this.#exitCode ??= readExitCode(said, 'the guest');
    } catch (error) {
      this.fail(error);
    }
  }

  /** The guest may send more only when the reader has room. */
  #push(from: 'stdout' | 'stderr', bytes: Buffer): void {
    this.#stream.push(from, Buffer.from(bytes));
    void this.#stream.room.then(() => this.#windows[from].take(bytes.length));
  }

  /** The shell is lost. */
  fail(error: unknown): void {
    this.#broken.reject(error);
  }

  /**
   * Waits for the command's end, and ends the stream; kills it by `interrupt` when the stream was stopped.
   * @throws when the shell is lost, or cannot kill it
   */
  async end(interrupt: () => Promise<void>): Promise<void> {
    try {
      await awaitWithin<void>(
        { awaited: `${describeCommand(this.#stream.command)} in the guest` },
        {},
        (resolve, reject) => {
          void this.#ended.promise.then(resolve);
          this.#broken.promise.catch(reject);
          void this.#stream.stopped.then(reject);
        },
      );
      this.#stream.finish(this.#exitCode ?? 0);
    } catch (error) {
      this.#stream.discard();
      await awaitWithin<void>({ awaited: 'a killed command to end' }, { patience: KILL_MS }, (resolve, reject) => {
        void this.#ended.promise.then(resolve);
        this.#broken.promise.catch(reject);
        void interrupt().catch(reject);
        const again = setInterval(() => void interrupt().catch(() => {}), 500);
        return () => clearInterval(again);
      }).finally(() => this.#stream.fail(error));
    }
  }
}
