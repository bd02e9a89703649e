import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { ByteTail } from '../console/byte-tail.js';
import { FileTranscript, type TranscriptWriter } from '../console/transcript.js';
import { writeAll } from './write.js';

const MAX_LOG = 64 << 20;
const END_BYTES = 1 << 20;
const MAX_LINES = 200_000;
/** Chunks closer than this share a line of console.timing. */
const QUANTUM_MS = 10;
const FLUSH_BYTES = 8192;

export interface ConsoleRecorderLimits {
  readonly log?: number;
  readonly end?: number;
  readonly lines?: number;
}

/**
 * A console in console.log with its times in console.timing, both bounded: of a guest that never stops printing the beginning
 * and the end are kept.
 */
export class ConsoleRecorder implements TranscriptWriter {
  readonly #dir: string;
  readonly #now: () => number;
  readonly #log: FileTranscript;
  readonly #timing: number;
  readonly #limit: number;
  readonly #maxLines: number;
  readonly #end: ByteTail;
  readonly #onCut: () => void;
  #lines = 0;
  #lastMs = -Infinity;
  #pending = '';
  #bytes = 0;
  #dropped = 0;

  /** `now` returns the time for console.timing; `onCut` is called when the log is full. */
  constructor(dir: string, now: () => number, onCut: () => void, limits: ConsoleRecorderLimits = {}) {
    this.#dir = dir;
    this.#now = now;
    this.#onCut = onCut;
    this.#limit = limits.log ?? MAX_LOG;
    this.#maxLines = limits.lines ?? MAX_LINES;
    this.#end = new ByteTail(limits.end ?? END_BYTES);
    this.#log = new FileTranscript(join(dir, 'console.log'));
    this.#timing = openSync(join(dir, 'console.timing'), 'a', 0o600);
  }

  /** Bytes in console.log. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes that came after the log was full. */
  get dropped(): number {
    return this.#dropped;
  }

  write(chunk: Uint8Array): void {
    const kept = chunk.subarray(0, this.#limit - this.#bytes);
    if (kept.length > 0) {
      this.#stamp();
      this.#log.write(kept);
      this.#bytes += kept.length;
    }
    const rest = chunk.subarray(kept.length);
    if (rest.length === 0) return;
    if (this.#dropped === 0) this.#onCut();
    this.#dropped += rest.length;
    this.#end.push(rest);
  }

  /** @throws {NO_SPACE} when something could not be written */
  close(): void {
    try {
      this.#flush();
      if (this.#dropped > 0) {
        const fd = openSync(join(this.#dir, 'console-end.log'), 'w', 0o600);
        writeAll(fd, this.#end.bytes());
        closeSync(fd);
      }
    } finally {
      closeSync(this.#timing);
      this.#log.close();
    }
  }

  #stamp(): void {
    const ms = Math.max(0, Math.round(this.#now()));
    if (ms - this.#lastMs < QUANTUM_MS || this.#lines >= this.#maxLines) return;
    this.#lastMs = ms;
    this.#lines += 1;
    this.#pending += `${ms} ${this.#bytes}\n`;
    if (this.#pending.length < FLUSH_BYTES) return;
    try {
      this.#flush();
    } catch {
      // On a full disk the text stays pending, and close() throws.
    }
  }

  #flush(): void {
    writeAll(this.#timing, Buffer.from(this.#pending));
    this.#pending = '';
  }
}
