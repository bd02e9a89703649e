import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { QmpilotError } from '@qmpilot/core';
import { sendMessage } from './daemon/wire.js';

/** Bytes that may be on their way to the daemon. */
const WINDOW = 4 << 20;

/** Sends a stream to the daemon as the input of a command, as fast as the command reads. */
export class InputSender {
  readonly #from: Readable;
  readonly #failed = new AbortController();
  #ahead = 0;
  #wake = () => {};

  constructor(from: Readable) {
    this.#from = from;
  }

  /** Fires when the stream cannot be read. */
  get signal(): AbortSignal {
    return this.#failed.signal;
  }

  /** Sends until the stream ends, or `stop` is called. */
  async send(socket: Socket): Promise<void> {
    try {
      for await (const chunk of this.#from as AsyncIterable<Buffer>) {
        sendMessage(socket, { input: chunk.toString('base64') });
        this.#ahead += chunk.length;
        while (this.#ahead >= WINDOW) await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      sendMessage(socket, { inputEnd: true });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.#failed.abort(new QmpilotError('IO', `exec: cannot read standard input: ${reason}`, { cause }));
    }
  }

  /** The daemon has passed on so many bytes. */
  taken(bytes: number): void {
    this.#ahead -= bytes;
    this.#wake();
  }

  /** Reads no more: an open terminal or pipe would keep the process alive. */
  stop(): void {
    this.#from.destroy();
  }
}
