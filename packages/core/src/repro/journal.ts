import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { FileTranscript } from '../console/transcript.js';
import { QmpilotError } from '../errors.js';
import type { AttemptRecord, RunSummary } from '../records/records.js';

const MAX_EVENTS = 100_000;
const MAX_ATTACHMENT = 16 << 20;

/** A run directory that is being written. attempts.jsonl is the truth: one line for each finished attempt, synced. */
export class Journal {
  readonly dir: string;
  readonly #attempts: number;

  private constructor(dir: string, attempts: number) {
    this.dir = dir;
    this.#attempts = attempts;
  }

  /**
   * @throws {USAGE} when the directory is there and not empty
   * @throws {NO_SPACE} when it cannot be made
   */
  static async create(dir: string, run: Readonly<Record<string, unknown>>): Promise<Journal> {
    const path = resolve(dir);
    try {
      await mkdir(path, { recursive: true, mode: 0o700 });
      if ((await readdir(path)).length > 0) {
        throw new QmpilotError('USAGE', `${path} is not empty`, { hint: 'name another run directory by --out, or remove this one' });
      }
      await mkdir(join(path, 'attempts'), { mode: 0o700 });
      const journal = new Journal(path, openSync(join(path, 'attempts.jsonl'), 'a', 0o600));
      await journal.describe(run);
      return journal;
    } catch (cause) {
      throw cannotWrite(path, cause);
    }
  }

  /** Writes run.json: what the run is, and what it runs on. */
  async describe(run: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#replace('run.json', { v: 1, ...run });
  }

  /** The folder and files of one attempt. */
  async begin(index: number): Promise<AttemptFiles> {
    const path = join(this.dir, 'attempts', String(index).padStart(4, '0'));
    try {
      await mkdir(path, { recursive: true, mode: 0o700 });
      return new AttemptFiles(path);
    } catch (cause) {
      throw cannotWrite(this.dir, cause);
    }
  }

  /** @throws {NO_SPACE} when it cannot be written; the attempts before are whole */
  append(record: AttemptRecord): void {
    try {
      writeAll(this.#attempts, `${JSON.stringify(record)}\n`);
      fsyncSync(this.#attempts);
    } catch (cause) {
      throw cannotWrite(this.dir, cause);
    }
  }

  async finish(summary: RunSummary): Promise<void> {
    await this.#replace('summary.json', summary);
  }

  async #replace(name: string, value: object): Promise<void> {
    const path = join(this.dir, name);
    try {
      await writeFile(`${path}.partial`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
      await rename(`${path}.partial`, path);
    } catch (cause) {
      throw cannotWrite(this.dir, cause);
    }
  }

  close(): void {
    closeSync(this.#attempts);
  }
}

/** console.log, events.jsonl, findings.json and attachments of one attempt. */
export class AttemptFiles {
  readonly transcript: FileTranscript;
  readonly #path: string;
  readonly #events: number;
  #count = 0;

  constructor(path: string) {
    this.#path = path;
    this.transcript = new FileTranscript(join(path, 'console.log'));
    this.#events = openSync(join(path, 'events.jsonl'), 'a', 0o600);
  }

  event(event: object): void {
    this.#count += 1;
    if (this.#count <= MAX_EVENTS) this.#guard(() => writeAll(this.#events, `${JSON.stringify(event)}\n`));
  }

  /** @throws {USAGE} for a name that is more than a plain file name */
  attach(name: string, text: string): void {
    if (!/^[\w][\w.-]{0,99}$/.test(name)) {
      throw new QmpilotError('USAGE', `${JSON.stringify(name)} is not a plain file name`, { hint: 'use letters, digits, ".", "_" and "-"' });
    }
    this.#guard(() => {
      const fd = openSync(join(this.#path, name), 'w', 0o600);
      writeAll(fd, text.slice(0, MAX_ATTACHMENT));
      closeSync(fd);
    });
  }

  close(): void {
    this.#guard(() => {
      closeSync(this.#events);
      this.transcript.close();
    });
  }

  #guard(write: () => void): void {
    try {
      write();
    } catch (cause) {
      throw cannotWrite(this.#path, cause);
    }
  }
}

function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

function cannotWrite(path: string, cause: unknown): unknown {
  if (cause instanceof QmpilotError || !(cause instanceof Error)) return cause;
  const code = 'code' in cause ? cause.code : undefined;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  return new QmpilotError(full ? 'NO_SPACE' : 'USAGE', `${path} cannot be written: ${cause.message}`, {
    cause,
    hint: full ? 'make room there; the attempts that were finished are kept' : 'name another run directory by --out',
  });
}
