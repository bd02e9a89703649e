import type { Channel } from '../console/channel.js';
import { awaitWithin, type WaitOptions } from '../util/deadline.js';
import { deferred } from '../util/deferred.js';
import { monotonicMs } from '../util/clock.js';
import type { Mark } from './frames.js';
import { execResult, type ExecResult } from './shell.js';

export interface ExecChunk {
  readonly from: 'stdout' | 'stderr';
  readonly bytes: Buffer;
}

/** Bytes that wait for the reader before the guest is made to wait. */
const QUEUE_LIMIT = 1 << 20;
/** How long a killed command may take to say that it ended. */
const KILL_MS = 5000;

const NEWLINE = Buffer.from('\n');

/** A running command's output as it comes, and its end. Iterate it once; a slow reader slows the command down. */
export class ExecStream implements AsyncIterable<ExecChunk> {
  readonly command: string;
  readonly #channel: Channel;
  readonly #result = deferred<ExecResult>();
  readonly #ended = deferred<void>();
  readonly #stopped = deferred<unknown>();
  readonly #began = monotonicMs();
  #queue: ExecChunk[] = [];
  #queued = 0;
  #wake = () => {};
  #release: (() => void) | undefined;
  #running = false;
  #discard = false;
  #exitCode: number | undefined;
  #stderrEnded = false;
  /** The newline of the last line of stderr: the one that ends the stream is not the command's. */
  #newline = false;
  #over: { readonly error?: unknown } | undefined;

  constructor(command: string, channel: Channel) {
    this.command = command;
    this.#channel = channel;
  }

  /** The command's end, without the output that was streamed. Rejects when it was killed or lost. */
  get result(): Promise<ExecResult> {
    return this.#result.promise;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ExecChunk> {
    try {
      for (;;) {
        for (let chunk = this.#queue.shift(); chunk; chunk = this.#queue.shift()) {
          this.#queued -= chunk.bytes.length;
          if (this.#queued === 0) this.#letGo();
          yield chunk;
        }
        if (this.#over) {
          if ('error' in this.#over) throw this.#over.error;
          return;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.#discardRest();
      if (!this.#over) this.stop(new Error('the reader left'));
    }
  }

  /** Kills the command; `result` rejects with `reason`. */
  stop(reason: unknown): void {
    this.#stopped.resolve(reason);
  }

  /** Called by the shell: bytes that are no marks. */
  bytes(bytes: Buffer): void {
    if (this.#running && this.#exitCode === undefined) this.#push('stdout', bytes);
  }

  /** Called by the shell. */
  mark({ letter, payload }: Mark): void {
    if (letter === 'S') this.#running = true;
    if ((letter === 'e' || letter === 'E') && !this.#stderrEnded) {
      if (this.#newline) this.#push('stderr', NEWLINE);
      this.#newline = letter === 'E';
      if (payload.length > 0) this.#push('stderr', payload);
    }
    if (letter === 'Y') this.#stderrEnded = true;
    if (letter === 'X') this.#exitCode ??= Number.parseInt(payload.toString(), 10);
    if (this.#exitCode !== undefined && this.#stderrEnded) this.#ended.resolve();
  }

  /** Called by the shell: waits for the command's end, killing it by `interrupt` when time is up or `stop` was called. */
  async guestEnd(options: WaitOptions, interrupt: () => Promise<void>): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    try {
      await awaitWithin<void>({ awaited: `${JSON.stringify(this.command)} in the guest` }, options, (resolve, reject) => {
        void this.#ended.promise.then(resolve, reject);
        void this.#stopped.promise.then(reject);
      });
    } catch (error) {
      if (this.#over) throw error;
      failure = { error };
      this.#discardRest();
      await interrupt();
      await awaitWithin<void>({ awaited: 'a killed command to end' }, { timeout: KILL_MS }, (resolve, reject) => {
        void this.#ended.promise.then(resolve, reject);
        const again = setInterval(() => void interrupt().catch(() => {}), 500);
        return () => clearInterval(again);
      });
    }
    if (failure) this.fail(failure.error);
    else this.#finish();
  }

  /** Called by the shell: nothing more will come. */
  fail(error: unknown): void {
    if (this.#over) return;
    this.#over = { error };
    this.#ended.reject(error);
    this.#result.reject(error);
    this.#letGo();
    this.#wake();
  }

  #finish(): void {
    this.#over = {};
    const none = Buffer.alloc(0);
    this.#result.resolve(execResult(this.command, this.#exitCode ?? 0, none, none, monotonicMs() - this.#began));
    this.#letGo();
    this.#wake();
  }

  #push(from: ExecChunk['from'], bytes: Buffer): void {
    if (this.#discard) return;
    this.#queue.push({ from, bytes: Buffer.from(bytes) });
    this.#queued += bytes.length;
    if (this.#queued > QUEUE_LIMIT) this.#release ??= this.#channel.hold();
    this.#wake();
  }

  #discardRest(): void {
    this.#discard = true;
    this.#queue = [];
    this.#queued = 0;
    this.#letGo();
  }

  #letGo(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }
}
