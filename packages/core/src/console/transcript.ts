import { closeSync, openSync, writeSync } from 'node:fs';
import { QmpilotError } from '../errors.js';

/** Takes the raw bytes of a console, in order. */
export interface TranscriptWriter {
  /** Takes raw bytes; does not throw. */
  write(chunk: Uint8Array): void;
}

/**
 * A console's raw bytes in a file, written through at once: nothing is held in memory, and nothing is lost
 * when this process dies. A failure (disk full) stops the writing, is kept, and is thrown by `close()`.
 */
export class FileTranscript implements TranscriptWriter {
  readonly path: string;
  #fd: number | undefined;
  #failure: Error | undefined;
  #bytes = 0;

  /** Appends to `path`, which is created with mode 0600. */
  constructor(path: string) {
    this.path = path;
    this.#fd = openSync(path, 'a', 0o600);
  }

  /** How many bytes were written by this object. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Writes at once; the first failure is kept, and thrown by `close`. */
  write(chunk: Uint8Array): void {
    if (this.#fd === undefined || this.#failure !== undefined) return;
    try {
      for (let done = 0; done < chunk.length;) {
        const count = writeSync(this.#fd, chunk, done);
        done += count;
        this.#bytes += count;
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
    }
  }

  /** @throws {NO_SPACE} when something could not be written */
  close(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
    if (this.#failure === undefined) return;
    throw new QmpilotError(
      'NO_SPACE',
      `the transcript ${this.path} is incomplete: it ends after ${this.#bytes} bytes (${this.#failure.message})`,
      {
        cause: this.#failure,
        hint: 'make room on that file system',
      },
    );
  }
}
