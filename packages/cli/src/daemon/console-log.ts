import { renameSync } from 'node:fs';
import { FileTranscript, type TranscriptWriter } from '@qmpilot/core/console';

/** Two files of this size are kept: a guest that prints without an end does not fill the disk. */
const MAX_LOG_BYTES = 32 << 20;

/** Writes a VM's console to `console.log`; at 32 MiB that becomes `console.log.1`, and the one before is removed. */
export class ConsoleLog implements TranscriptWriter {
  readonly #path: string;
  readonly #limit: number;
  #file: FileTranscript;

  constructor(path: string, limit = MAX_LOG_BYTES) {
    this.#path = path;
    this.#limit = limit;
    this.#file = new FileTranscript(path);
  }

  write(chunk: Uint8Array): void {
    if (this.#file.bytes >= this.#limit) this.#rotate();
    this.#file.write(chunk);
  }

  close(): void {
    try {
      this.#file.close();
    } catch {
      // On a full disk the log ends; the VM keeps running.
    }
  }

  #rotate(): void {
    this.close();
    try {
      renameSync(this.#path, `${this.#path}.1`);
      this.#file = new FileTranscript(this.#path);
    } catch {
      // Its directory was removed: the log ends, as on a full disk.
    }
  }
}
