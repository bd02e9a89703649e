import { randomBytes } from 'node:crypto';
import type { Channel } from '../../console/channel.js';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import { Ring } from '../../util/ring.js';
import { monotonicMs } from '../../util/time/clock.js';
import { FrameReader, type Mark } from './frames.js';
import { hasInstallation } from './guest-helper.js';
import { isLogin } from './terminal-taken.js';

/** Limit for the helper to kill a command and report it, in ms; a Ctrl-C is sent each half second. */
const ABANDON_MS = 5000;
/** Characters that are kept of what came since the last answer. */
const UNANSWERED = 4000;

/** What comes on the way to the mark that ends an answer. */
export interface RequestOptions {
  /** The letter of the mark that ends the answer. */
  readonly last: string;
  /** Sent in front of the request. */
  readonly before?: string;
  readonly awaited?: string;
  /** Bytes between the marks. `broken` ends the request. */
  readonly bytes?: (bytes: Buffer, broken: (error: unknown) => void) => void;
  /** All that comes, marks as well. */
  readonly raw?: (chunk: Buffer, broken: (error: unknown) => void) => void;
  readonly mark?: (mark: Mark) => void;
  /** Told when the wait ends early: what runs is then killed, and the end mark still comes. */
  readonly abandon?: (error: unknown) => void;
}

/** Sends requests to the helper (guest-helper.ts) on the other end of a channel, one at a time. */
export class ConsoleLink {
  readonly name: string;
  readonly channel: Channel;
  /** The helper answered, and nothing has happened since that may have changed that. */
  answers = false;
  /** The guest was reset, and has not answered since: its shell comes when it is up again. */
  wasReset = false;
  /** A login prompt answered the last request, in place of a shell. */
  isTaken = false;
  #everAnswered = false;
  readonly #seen = new Ring<string>(20);
  #heardAt = 0;
  /** What came since the last answer; empty while it answers. */
  #unanswered = '';
  #occupied = 0;
  /** What a login said that has answered since the helper did: agetty says nothing more until it starts again. */
  #login: string | undefined;
  readonly #undo: (() => void)[];

  constructor(channel: Channel, name: string) {
    this.channel = channel;
    this.name = name;
    this.#undo = [
      channel.onAttach(() => {
        this.answers = false;
        this.#forget();
      }),
      channel.onReset(() => {
        this.answers = false;
        this.#forget();
        this.wasReset = true;
      }),
      channel.onData((chunk) => this.#note(chunk)),
    ];
  }

  /** Whether a bash printed while it read the helper, in the last `ms`. */
  wasReadingHelper(ms: number): boolean {
    return monotonicMs() - this.#heardAt < ms && hasInstallation(this.#unanswered);
  }

  get everAnswered(): boolean {
    return this.#everAnswered;
  }

  close(): void {
    for (const undo of this.#undo) undo();
  }

  /** A request is under way until the returned function is called: what the guest prints in between is its answer. */
  occupy(): () => void {
    this.#occupied += 1;
    return () => void (this.#occupied -= 1);
  }

  /** What came before says nothing about the present. */
  #forget(): void {
    this.#unanswered = '';
    this.#login = undefined;
  }

  /** The helper prints nothing by itself: output without a request may be that of another program in its place. */
  #note(chunk: Buffer): void {
    const text = chunk.subarray(-500).toString('latin1');
    this.#seen.push(text);
    this.#heardAt = monotonicMs();
    if (this.#occupied === 0) this.answers = false;
    if (!this.answers) this.#unanswered = (this.#unanswered + text).slice(-UNANSWERED);
  }

  /** @throws {SHELL_LOST} when no answer comes in time */
  async ping(options: WaitOptions, before = ''): Promise<void> {
    const began = monotonicMs();
    try {
      await this.request('ping', '', options, { before, last: 'P' });
      this.answers = true;
      this.#forget();
      this.#everAnswered = true;
      this.wasReset = false;
    } catch (cause) {
      this.answers = false;
      // The signal carries the caller's limit, which says nothing about the shell.
      const isOurs = isQmpilotError(cause, 'TIMEOUT') && !options.signal?.aborted;
      throw isOurs ? this.lost(monotonicMs() - began, cause) : cause;
    }
  }

  /**
   * Sends one line and waits for the mark that ends its answer. With `abandon`, a wait that ends early kills
   * what runs by Ctrl-C and still gives the end mark, after telling `abandon` why.
   */
  async request(verb: string, argument: string, options: WaitOptions, how: RequestOptions): Promise<Mark> {
    const nonce = newNonce();
    let end: Mark | undefined;
    let arrived = () => {};
    const reader = new FrameReader(
      nonce,
      (bytes) => how.bytes?.(bytes, (error) => broken?.(error)),
      (mark) => {
        how.mark?.(mark);
        if (mark.letter !== how.last) return;
        end = mark;
        arrived();
      },
    );
    let broken: ((error: unknown) => void) | undefined;
    const hear = (chunk: Buffer) => {
      if (end) return;
      reader.push(chunk);
      how.raw?.(chunk, (error) => broken?.(error));
    };
    this.isTaken = false;
    const notice = () => {
      if (this.answers || !isLogin(this.#unanswered, this.#everAnswered)) return;
      this.isTaken = true;
      this.#login = this.#unanswered;
      this.#unanswered = '';
      broken?.(this.#taken(this.#login));
    };
    const undo = [
      this.occupy(),
      this.channel.onData(hear),
      this.channel.onData(notice),
      ...this.breaks((error) => broken?.(error)),
    ];
    const wait = (limits: WaitOptions) =>
      awaitWithin<Mark>({ awaited: how.awaited ?? `an answer from ${this.name}` }, limits, (resolve, reject) => {
        broken = reject;
        arrived = () => end && resolve(end);
        arrived();
      });
    try {
      const answer = wait(options);
      this.channel
        .write((how.before ?? '') + requestLine(verb, nonce, argument))
        .catch((error: unknown) => broken?.(error));
      return await answer;
    } catch (error) {
      if (!how.abandon || !isWaitEnd(error)) throw error;
      how.abandon(error);
      return await this.#interrupt(() => wait({ patience: ABANDON_MS }), error);
    } finally {
      for (const stop of undo) stop();
    }
  }

  /** Calls `broken` when the channel ends, or another guest is behind it; gives what ends that. */
  breaks(broken: (error: unknown) => void): (() => void)[] {
    return [
      this.channel.onEnd(broken),
      this.channel.onAttach(() =>
        broken(new QmpilotError('SHELL_LOST', `${this.name}: the VM was restored while a command ran`)),
      ),
      this.channel.onReset(() => {
        broken(new QmpilotError('SHELL_LOST', `${this.name}: the guest was reset while a command ran`));
      }),
    ];
  }

  lost(waitedMs: number, cause: unknown): QmpilotError {
    if (this.#login !== undefined) return this.#taken(this.#login);
    return new QmpilotError('SHELL_LOST', `${this.name} did not answer for ${Math.round(waitedMs)} ms`, {
      cause,
      evidence: { console: this.#seen.last().join('').slice(-2000).split('\n') },
      hint: this.#everAnswered
        ? 'the guest hangs or is stopped, or its shell sleeps in D state: look at the serial console'
        : 'the guest must run bash on this console: look at the serial console to see how far it came',
    });
  }

  #taken(said: string): QmpilotError {
    return new QmpilotError('SHELL_LOST', `${this.name}: a login prompt answers in place of a root shell`, {
      evidence: { console: said.slice(-2000).split('\n') },
      hint: `the guest runs a getty on /dev/${this.channel.name}: mask serial-getty@${this.channel.name}.service and start a root bash there; qmpilot guest prepare-rootfs does both`,
    });
  }

  async #interrupt(wait: () => Promise<Mark>, reason: unknown): Promise<Mark> {
    const answer = wait();
    const interrupt = () => void this.channel.write('\x03').catch(() => {});
    interrupt();
    const again = setInterval(interrupt, 500);
    try {
      const last = await answer;
      // A Ctrl-C that is still on its way must not reach the next command: the helper answers after it.
      await this.ping({ patience: ABANDON_MS });
      return last;
    } catch {
      this.answers = false;
      throw reason;
    } finally {
      clearInterval(again);
    }
  }
}

/** Begins with a line end of its own, so that the rest of an earlier line is not taken for a part of the request. */
export function requestLine(verb: string, nonce: string, argument: string): string {
  return `\n: qmpilot ${verb} ${nonce} ${argument}${argument ? ' ' : ''}${nonce}\n`;
}

export function newNonce(): string {
  return randomBytes(8).toString('hex');
}

function isWaitEnd(error: unknown): boolean {
  return isQmpilotError(error, 'TIMEOUT') || isQmpilotError(error, 'ABORTED') || isQmpilotError(error, 'OUTPUT_LIMIT');
}
