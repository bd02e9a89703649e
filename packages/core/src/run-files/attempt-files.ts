import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { QmpilotError } from '../errors.js';
import { ConsoleRecorder, type ConsoleRecorderLimits } from './console-recorder.js';
import { cannotWrite, writeAll } from './write.js';

const MAX_EVENTS = 100_000;
const MAX_EVENT_CHARACTERS = 1 << 20;
const MAX_ATTACHMENT = 16 << 20;

/** An event as it is handed in; `at` is now unless it is given. */
export interface NewEvent {
  readonly type: string;
  readonly at?: number;
  readonly [field: string]: unknown;
}

/**
 * console.log, events.jsonl, findings.json and attachments of one attempt. Writes of the
 * console and of events never throw: the first failure is passed to `onFailure`, and thrown by `close()`.
 */
export class AttemptFiles {
  readonly console: ConsoleRecorder;
  readonly #path: string;
  readonly #now: () => number;
  readonly #onFailure: (error: unknown) => void;
  readonly #events: number;
  #count = 0;
  #failure: unknown;

  /** `now`: milliseconds since the attempt began. */
  constructor(
    path: string,
    now: () => number,
    onFailure: (error: unknown) => void = () => {},
    limits: ConsoleRecorderLimits = {},
  ) {
    this.#path = path;
    this.#now = now;
    this.#onFailure = onFailure;
    try {
      const onCut = () => this.event({ type: 'console-cut', offset: this.console.bytes });
      this.console = new ConsoleRecorder(path, now, onCut, limits);
      this.#events = openSync(join(path, 'events.jsonl'), 'a', 0o600);
    } catch (cause) {
      throw cannotWrite(path, cause);
    }
  }

  event(event: NewEvent): void {
    this.#count += 1;
    if (this.#count > MAX_EVENTS || this.#failure !== undefined) return;
    const { at = this.#now(), ...rest } = event;
    const whole = JSON.stringify({ at: Math.max(0, Math.round(at)), ...rest });
    const text =
      this.#count === MAX_EVENTS
        ? cut(event, at, 'events-cut')
        : whole.length > MAX_EVENT_CHARACTERS
          ? cut(event, at, 'event-too-long')
          : whole;
    try {
      writeAll(this.#events, Buffer.from(`${text}\n`));
    } catch (cause) {
      this.#failure = cannotWrite(this.#path, cause);
      this.#onFailure(this.#failure);
    }
  }

  /**
   * Keeps a text as a file of the attempt, at most 16 MiB of it.
   * @throws {USAGE} for a name that is more than a plain file name, or one of ours
   * @throws {NO_SPACE}
   */
  attach(name: string, text: string): void {
    if (!/^\w[\w.-]{0,99}$/.test(name) || OWN.has(name)) {
      throw new QmpilotError(
        'USAGE',
        `${JSON.stringify(name)} is not a plain file name, or one that qmpilot writes itself`,
        { hint: 'use letters, digits, ".", "_" and "-"' },
      );
    }
    this.write(name, text.slice(0, MAX_ATTACHMENT));
    this.event({ type: 'attached', name, bytes: Buffer.byteLength(text) });
  }

  /** Where a file of our own has to be that another program writes. */
  place(name: string): string {
    return join(this.#path, name);
  }

  /** A file of our own. @throws {NO_SPACE} */
  write(name: string, text: string): void {
    try {
      const fd = openSync(join(this.#path, name), 'w', 0o600);
      try {
        writeAll(fd, Buffer.from(text));
      } finally {
        closeSync(fd);
      }
    } catch (cause) {
      throw cannotWrite(this.#path, cause);
    }
  }

  /** @throws {NO_SPACE} when something could not be written */
  close(): void {
    if (this.console.dropped > 0)
      this.event({ type: 'console-cut', offset: this.console.bytes, dropped: this.console.dropped });
    try {
      closeSync(this.#events);
      this.console.close();
    } catch (cause) {
      this.#failure ??= cannotWrite(this.#path, cause);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }
}

const OWN = new Set([
  'console.log',
  'console-end.log',
  'console.timing',
  'events.jsonl',
  'findings.json',
  'explanation.json',
  'explanation.txt',
  'memory.elf',
  'checkpoints',
  'when',
]);

function cut(event: { readonly type: string }, at: number, type: string): string {
  return JSON.stringify({ at: Math.max(0, Math.round(at)), type, of: event.type });
}
