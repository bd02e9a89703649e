import type { Duplex } from 'node:stream';
import { QmpilotError } from '../errors.js';
import { awaitWithin, type WaitOptions } from '../util/async/deadline.js';
import { Listeners } from '../util/async/listeners.js';
import { debugLog } from '../util/debug-log.js';

const log = debugLog('console');

const ignore = () => {};
/** libuv reads a stream 32 times before it looks at another: one that never ends would keep QMP waiting. */
const BYTES_A_TURN = 1 << 17;

/**
 * A byte channel into the guest. The stream behind it can be exchanged (a restore starts a new QEMU), while its users continue as
 * before. Input from the guest is always read, with or without listeners: a console socket that is not read blocks QEMU.
 */
export class Channel {
  readonly name: string;
  #stream: Duplex | undefined;
  #unhook: (() => void) | undefined;
  #state: 'detached' | 'attached' | 'ended' | 'closed' = 'detached';
  #holds = 0;
  #inputHolds = 0;
  #taken = 0;
  #filter: ((chunk: Buffer) => Buffer) | undefined;
  readonly #data = new Listeners<Buffer>();
  readonly #end = new Listeners<QmpilotError>();
  readonly #attach = new Listeners<void>();
  readonly #resets = new Listeners<void>();
  readonly #lost = new Listeners<QmpilotError>();
  readonly #waiting = new Set<() => void>();

  constructor(name: string) {
    this.name = name;
  }

  /** `ended`: the stream ended by itself (QEMU is gone), and `attach` may replace it. `closed` is final. */
  get state(): 'detached' | 'attached' | 'ended' | 'closed' {
    return this.#state;
  }

  /**
   * Replaces the present stream by `stream`; the present one is left open.
   * @throws {CLOSED} after `close()`
   */
  attach(stream: Duplex): void {
    if (this.#state === 'closed') throw new QmpilotError('CLOSED', `console ${this.name} was closed`);
    this.detach();
    this.#hook(stream);
    this.#attach.emit();
    this.#begin(stream);
  }

  /**
   * Continues with the stream of another QEMU, in which the same guest continues: no listener is called. Writes in between must
   * wait, by `holdInput`.
   * @throws {CLOSED} after `close()`
   */
  moveTo(stream: Duplex): void {
    if (this.#state !== 'attached') return this.attach(stream);
    this.#unhook?.();
    this.#hook(stream);
    this.#begin(stream);
  }

  #hook(stream: Duplex): void {
    log?.(() => `${this.name}: attached`);
    this.#stream = stream;
    this.#state = 'attached';
    const onData = (chunk: Buffer | string) => this.#take(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    const onGone = (cause?: unknown) => this.#onGone(stream, cause instanceof Error ? cause : undefined);
    stream.on('data', onData);
    stream.on('end', onGone);
    stream.on('close', onGone);
    stream.on('error', onGone);
    this.#unhook = () => {
      stream.off('data', onData);
      stream.off('end', onGone);
      stream.off('close', onGone);
      stream.off('error', onGone);
      // The old stream is drained, and its errors are ignored. It may be attached again: one such listener is enough.
      stream.off('error', ignore);
      stream.on('error', ignore);
      stream.resume();
    };
  }

  #begin(stream: Duplex): void {
    if (stream.destroyed) this.#onGone(stream, undefined);
    else if (this.#holds > 0) stream.pause();
    else stream.resume();
  }

  /** Detaches from the stream without ending it and without an `onEnd`; pending writes are rejected. */
  detach(): void {
    if (this.#state === 'closed') return;
    this.#unhook?.();
    this.#unhook = undefined;
    if (this.#state === 'attached') log?.(() => `${this.name}: detached`);
    this.#stream = undefined;
    this.#state = 'detached';
    this.#lost.emit(this.#unusable('while it was written to'));
  }

  /**
   * Writes all of `data`; resolves when the stream has taken it, so awaiting it is the backpressure.
   * @throws {CONSOLE_CLOSED} when no stream is attached, or it ends before
   * @throws {TIMEOUT} after `options.timeout` (none by default)
   * @throws {ABORTED}
   */
  write(data: string | Uint8Array, options: WaitOptions = {}): Promise<void> {
    if (!this.#stream) return Promise.reject(this.#unusable('before it was written to'));
    return awaitWithin<void>({ awaited: `console ${this.name} to take input` }, options, (resolve, reject) => {
      const forget = this.#lost.add(reject);
      const send = () => {
        log?.(() => `${this.name}: to the guest: ${textOf(data)}`);
        this.#stream?.write(data, (error) => {
          if (error) reject(this.#unusable('while it was written to', error));
          else resolve();
        });
      };
      if (this.#inputHolds > 0) this.#waiting.add(send);
      else send();
      return () => {
        forget();
        this.#waiting.delete(send);
      };
    });
  }

  /** Resolves when all output of a guest that is paused has been read. */
  async drain(): Promise<void> {
    for (let quiet = 0; quiet < 2 && this.#state === 'attached';) {
      const before = this.#taken;
      await new Promise((resolve) => setImmediate(resolve));
      quiet = this.#holds === 0 && this.#taken === before ? quiet + 1 : 0;
    }
  }

  /** Makes writes wait until the returned function is called. */
  holdInput(): () => void {
    let held = true;
    this.#inputHolds += 1;
    return () => {
      if (!held) return;
      held = false;
      this.#inputHolds -= 1;
      if (this.#inputHolds > 0) return;
      for (const send of this.#waiting) send();
      this.#waiting.clear();
    };
  }

  /** Calls `listener` with every chunk; one that throws is removed, and the others are not affected. */
  onData(listener: (chunk: Buffer) => void): () => void {
    return this.#data.add(listener);
  }

  /**
   * Passes every chunk through `filter` before the listeners get it: for a protocol that shares the line with others. One filter
   * at a time; returns a function that removes it.
   */
  setFilter(filter: (chunk: Buffer) => Buffer): () => void {
    this.#filter = filter;
    return () => {
      if (this.#filter === filter) this.#filter = undefined;
    };
  }

  /** Calls `listener` when the stream ends by itself, or the channel is closed. */
  onEnd(listener: (error: QmpilotError) => void): () => void {
    return this.#end.add(listener);
  }

  /** Calls `listener` when the guest behind the channel was reset. */
  onReset(listener: () => void): () => void {
    return this.#resets.add(listener);
  }

  /** Calls the listeners of `onReset`. */
  guestReset(): void {
    this.#resets.emit();
  }

  /** Calls `listener` when a stream is attached: the guest behind it may be another one, or at another moment. */
  onAttach(listener: () => void): () => void {
    return this.#attach.add(listener);
  }

  /** Stops reading until the returned function is called; the guest then waits once its buffers are full. */
  hold(): () => void {
    let held = true;
    this.#holds += 1;
    this.#stream?.pause();
    return () => {
      if (!held) return;
      held = false;
      this.#holds -= 1;
      if (this.#holds === 0) this.#stream?.resume();
    };
  }

  /** Closes the channel for good, and destroys the stream. */
  close(): void {
    if (this.#state === 'closed') return;
    const stream = this.#stream;
    this.detach();
    this.#state = 'closed';
    stream?.destroy();
    this.#end.emit(this.#unusable('by its owner'));
    for (const listeners of [this.#data, this.#end, this.#attach, this.#resets, this.#lost]) listeners.clear();
  }

  /** The error for a use of the channel in its present state; undefined while it is attached. */
  get failure(): QmpilotError | undefined {
    return this.#state === 'attached' ? undefined : this.#unusable('before it was used');
  }

  #take(chunk: Buffer): void {
    log?.(() => `${this.name}: from the guest: ${textOf(chunk)}`);
    this.#taken += chunk.length;
    if (this.#taken > BYTES_A_TURN) {
      this.#taken = 0;
      setImmediate(this.hold());
    }
    const rest = this.#filter ? this.#filter(chunk) : chunk;
    if (rest.length > 0) this.#data.emit(rest);
  }

  #onGone(stream: Duplex, cause: Error | undefined): void {
    if (this.#stream !== stream) return;
    this.#unhook?.();
    this.#unhook = undefined;
    log?.(() => `${this.name}: ended${cause ? `: ${cause.message}` : ''}`);
    this.#stream = undefined;
    this.#state = 'ended';
    const error = this.#unusable('by the other side', cause);
    this.#lost.emit(error);
    this.#end.emit(error);
  }

  #unusable(when: string, cause?: Error): QmpilotError {
    const state = this.#state === 'attached' ? 'ended' : this.#state;
    return new QmpilotError(
      'CONSOLE_CLOSED',
      `console ${this.name} was ${state === 'ended' ? 'ended' : state} ${when}`,
      {
        ...(cause ? { cause } : {}),
        hint:
          state === 'detached'
            ? 'the VM is being restored or has not started yet: wait for that first'
            : 'see why QEMU ended: its exit status and its standard error',
      },
    );
  }
}

function textOf(data: string | Uint8Array): string {
  return typeof data === 'string' ? data : Buffer.from(data).toString('utf8');
}
