import type { Console } from '../../console/console.js';
import { QmpilotError } from '../../errors.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import { cksum, unshift } from './shifted.js';

/** The guest sends blocks of 64 KiB in base64; what is longer is none of them. */
const LONGEST_LINE = 1 << 17;
/** It waits for an answer behind each: more is not asked for, and is asked for again if it was. */
const MAX_FRAMES = 16;

/** A block, and whether its checksum is right. */
export interface SerialFrame {
  readonly number: number;
  readonly letter: string;
  readonly payload: Buffer;
  readonly whole: boolean;
}

/**
 * The guest's side of one command on the other end of the serial line: takes what is ours out of the line, so that console,
 * screen and detectors see the line as if nothing else were on it.
 */
export class SerialLink implements Disposable {
  readonly #console: Console;
  readonly #nonce: string;
  readonly #undo: (() => void)[];
  readonly #frames: SerialFrame[] = [];
  #taken = 0;
  #pending = '';
  #head: RegExpExecArray | undefined;
  #others = '';
  #failure: QmpilotError | undefined;
  #wake = () => {};

  constructor(console: Console, nonce: string) {
    this.#console = console;
    this.#nonce = nonce;
    const { channel } = console;
    const fail = (error: QmpilotError) => {
      this.#failure ??= error;
      this.#wake();
    };
    this.#undo = [
      channel.setFilter((chunk) => this.#take(chunk)),
      channel.onEnd(fail),
      channel.onAttach(() =>
        fail(new QmpilotError('SHELL_LOST', `${channel.name}: the VM was restored while a command ran`)),
      ),
      channel.onReset(() =>
        fail(new QmpilotError('SHELL_LOST', `${channel.name}: the guest was reset while a command ran`)),
      ),
    ];
  }

  [Symbol.dispose](): void {
    for (const undo of this.#undo) undo();
  }

  /** What others wrote since the last call, at most 1 MiB of it. */
  others(): string {
    const text = this.#others;
    this.#others = '';
    return text;
  }

  send(line: string): Promise<void> {
    return this.#console.send(Buffer.from(`${line}\r`));
  }

  /** The guest has taken a line of input, counted since the link began. */
  taken(count: number, options: WaitOptions): Promise<void> {
    return this.#until('the guest to take a line on the serial console', options, () =>
      this.#taken >= count ? true : undefined,
    ).then(() => {});
  }

  /** The next frame. */
  frame(awaited: string, options: WaitOptions): Promise<SerialFrame> {
    return this.#until(awaited, options, () => this.#frames.shift());
  }

  get acknowledged(): number {
    return this.#taken;
  }

  #until<T>(awaited: string, options: WaitOptions, probe: () => T | undefined): Promise<T> {
    return awaitWithin<T>({ awaited }, options, (resolve, reject) => {
      const look = () => {
        const value = probe();
        if (value !== undefined) resolve(value);
        else if (this.#failure) reject(this.#failure);
      };
      this.#wake = look;
      look();
      return () => {
        this.#wake = () => {};
      };
    });
  }

  #take(chunk: Buffer): Buffer {
    const { ours, theirs } = unshift(chunk);
    this.#others = (this.#others + theirs.toString('latin1')).slice(-(1 << 20));
    if (ours.length > 0) {
      let text = ours.toString('latin1');
      if (text.includes('\x07')) {
        this.#taken += text.split('\x07').length - 1;
        text = text.replaceAll('\x07', '');
      }
      const lines = (this.#pending + text).split('\n');
      this.#pending = (lines.pop() ?? '').slice(-LONGEST_LINE);
      for (const line of lines) this.#line(line);
      this.#wake();
    }
    return theirs;
  }

  #line(line: string): void {
    const head = /^(\w{16}) (\d{1,9}) ([a-z]) (\d{1,10}) (\d{1,9})$/.exec(line);
    if (head) {
      this.#head = head[1] === this.#nonce ? head : undefined;
      return;
    }
    const [, , number, letter = '', sum, length] = this.#head ?? [];
    if (!this.#head) return;
    this.#head = undefined;
    const payload = Buffer.from(line, 'base64');
    const whole = payload.length === Number(length) && cksum(payload) === Number(sum);
    if (this.#frames.length < MAX_FRAMES) this.#frames.push({ number: Number(number), letter, payload, whole });
  }
}
