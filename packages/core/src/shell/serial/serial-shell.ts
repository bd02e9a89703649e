import { randomBytes } from 'node:crypto';
import type { Console } from '../../console/console.js';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { withinLimit } from '../../util/async/limit.js';
import { Mutex } from '../../util/async/mutex.js';
import { monotonicMs } from '../../util/time/clock.js';
import { parseDuration } from '../../util/time/duration.js';
import type { Command, ExecOptions } from '../exec-options.js';
import { describeCommand, requireSuccess, type ExecResult } from '../exec-result.js';
import { checkCommand } from '../exec-schema.js';
import { collect, ExecStream, startStream } from '../exec-stream.js';
import { readExitCode } from '../exit-code.js';
import type { Shell } from '../shell.js';
import { Prompt } from './prompt.js';
import { SerialLink, type SerialFrame } from './serial-link.js';
import { LOADER, serialScript, sourceLines, STUB } from './serial-script.js';

/** Under TCG, with a kernel that floods the line, each of these steps may take seconds. */
const STEP_MS = 60_000;
/** A frame that is not there by then is asked for again; the guest forgets the question when it has nothing to say. */
const ASK_AGAIN_MS = 5000;
const INPUT_LINE = 1500;
/** Lines of input under way: together they fit into what a terminal holds. */
const INPUT_WINDOW = 2;
const LONGEST_SOURCE = 48_000;

/**
 * Runs commands over the serial console, at the prompt of the shell that a person has there: for guests with nothing better. What is
 * sent cannot be mistaken for an echo or for the kernel's lines, and is sent again until it has arrived whole; what the kernel prints
 * in between stays on the console, and is in `consoleLines`. A line that is half typed at a bash prompt is restored afterwards.
 * The guest needs base64, cksum, head, tr and stty (coreutils or busybox). Slow: some 100 KB/s under TCG.
 */
export class SerialShell implements Shell {
  readonly name: string;
  readonly kind = 'serial';
  readonly #console: Console;
  readonly #prompt: Prompt;
  readonly #mutex: Mutex;

  /** @param options.prompt what the last line looks like when a shell waits; default: it ends in `# `, `$ `, `% ` or `> ` */
  constructor(console: Console, options: { readonly prompt?: RegExp | undefined } = {}) {
    this.#console = console;
    this.name = `shell on ${console.channel.name}`;
    this.#prompt = new Prompt(console, options.prompt);
    this.#mutex = new Mutex(this.name);
  }

  ready(options: WaitOptions = {}): Promise<void> {
    const { timeout, patience = 60_000, signal } = options;
    const lost = monotonicMs() + parseDuration(timeout ?? patience, 'timeout');
    return withinLimit({ awaited: `a prompt for ${this.name}`, timeout, signal }, (limit) =>
      this.#mutex.run(this.name, { signal: limit }, async () => {
        for (;;) {
          try {
            return await (
              await this.#prompt.take({ signal: limit, patience: 2000 })
            )();
          } catch (error) {
            if (!isQmpilotError(error, 'SHELL_LOST') || monotonicMs() >= lost) throw error;
          }
        }
      }),
    );
  }

  ping(options: WaitOptions = {}): Promise<void> {
    return this.ready({ patience: 5000, ...options });
  }

  async exec(command: Command, options: ExecOptions = {}): Promise<ExecResult> {
    return collect(this.stream(command, options), options);
  }

  async expectOk(command: Command, options: ExecOptions = {}): Promise<ExecResult> {
    return requireSuccess(await this.exec(command, options));
  }

  stream(command: Command, options: ExecOptions = {}): ExecStream {
    const text = checkCommand(command, options);
    const nonce = randomBytes(8).toString('hex');
    const source = sourceLines(serialScript(nonce, text, options));
    if (source.join('').length > LONGEST_SOURCE) {
      throw new QmpilotError('USAGE', `a command over the serial console can have about ${LONGEST_SOURCE} bytes`, {
        hint: "run 'bash -s' and give the script as `input`",
      });
    }
    const stream = new ExecStream(text, this.kind);
    return startStream(
      stream,
      options,
      (signal) =>
        this.#mutex.run(describeCommand(text), { signal }, async () => {
          const restore = await this.#prompt.take({ signal });
          const settle = await this.#run(stream, nonce, source, options);
          await restore();
          settle();
        }),
      (error) => this.#lost(error),
    );
  }

  close(): void {
    this.#mutex.close();
  }

  async #run(stream: ExecStream, nonce: string, source: readonly string[], options: ExecOptions): Promise<() => void> {
    using link = new SerialLink(this.#console, nonce);
    await link.send(STUB);
    await link.taken(1, { patience: STEP_MS });
    await link.send(LOADER);
    for (const line of source) await link.send(line);
    link.others();
    const ready = await this.#next(link, 1);
    if (ready.letter !== 'r') throw new QmpilotError('SHELL_LOST', `${this.name} gave an unexpected answer`);
    await link.send('k1');
    await this.#sendInput(link, options);
    const end = await this.#outputs(stream, link);
    const lines = link
      .others()
      .split(/\r?\n|\r/)
      .filter((line) => line !== '')
      .map((line) => Buffer.from(line, 'latin1').toString());
    await link.send(`k${end.number}`);
    await this.#prompt.returned();
    return () => ('error' in end ? stream.fail(end.error) : stream.finish(end.exitCode, lines));
  }

  async #sendInput(link: SerialLink, { input }: ExecOptions): Promise<void> {
    const text = Buffer.from(input ?? '').toString('base64');
    const base = link.acknowledged;
    for (let at = 0, sent = 0; at < text.length; at += INPUT_LINE, sent += 1) {
      if (sent >= INPUT_WINDOW) await link.taken(base + sent - INPUT_WINDOW + 1, { patience: STEP_MS });
      await link.send(text.slice(at, at + INPUT_LINE));
    }
    await link.send('.');
  }

  /** Passes the blocks on until the last frame has come; that one is left to the caller to acknowledge. */
  async #outputs(
    stream: ExecStream,
    link: SerialLink,
  ): Promise<{ readonly number: number } & ({ readonly exitCode: number } | { readonly error: unknown })> {
    const stop = new AbortController();
    void stream.stopped.then((reason) => stop.abort(reason));
    let failure: { readonly error: unknown } | undefined;
    for (let number = 2; ; number += 1) {
      let frame: SerialFrame;
      try {
        frame = await this.#next(
          link,
          number,
          describeCommand(stream.command),
          failure ? { patience: STEP_MS } : { signal: stop.signal },
          failure && (() => link.send('q').then(() => link.send('r'))),
        );
      } catch (error) {
        if (failure || isQmpilotError(error, 'CONSOLE_CLOSED') || isQmpilotError(error, 'SHELL_LOST')) throw error;
        failure = { error: stop.signal.aborted ? stop.signal.reason : error };
        stream.discard();
        await link.send('q');
        number -= 1;
        continue;
      }
      if (frame.letter === 'x') {
        if (failure) return { number: frame.number, error: failure.error };
        return { number: frame.number, exitCode: readExitCode(frame.payload.toString().trim(), this.name) };
      }
      if (failure) {
        number = frame.number;
      } else {
        stream.push(frame.letter === 'e' ? 'stderr' : 'stdout', frame.payload);
        await stream.room;
      }
      await link.send(`k${frame.number}`);
    }
  }

  /** Returns the complete frame of this number; after an interrupt numbers may be missing. */
  async #next(
    link: SerialLink,
    number: number,
    awaited = `an answer from ${this.name}`,
    options: WaitOptions = { patience: STEP_MS },
    askAgain = () => link.send(`r${number}`),
  ): Promise<SerialFrame> {
    const { patience, signal } = options;
    const limit = patience === undefined ? Infinity : monotonicMs() + parseDuration(patience);
    for (;;) {
      const rest = Math.min(ASK_AGAIN_MS, Math.max(0, limit - monotonicMs()));
      try {
        const frame = await link.frame(`${awaited} in the guest`, { signal, patience: rest });
        if (frame.whole && frame.number >= number) return frame;
        await link.send(frame.whole ? `k${frame.number}` : `r${frame.number}`);
      } catch (error) {
        if (!isQmpilotError(error, 'TIMEOUT') || monotonicMs() >= limit) throw error;
        await askAgain();
      }
    }
  }

  #lost(error: unknown): unknown {
    if (!isQmpilotError(error, 'TIMEOUT') || !/ from shell on | take a line | killed /.test(error.message))
      return error;
    return new QmpilotError('SHELL_LOST', `${this.name} does not continue: ${error.message}`, {
      cause: error,
      evidence: { console: this.#console.lastLines(10) },
      hint: 'check that the shell there has stty, base64, cksum, head and tr',
    });
  }
}
