import type { Console } from '../../console/console.js';
import { QmpilotError } from '../../errors.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';

/** What most prompts end in. */
const ANY_PROMPT = /[#$%>] $/;
const QUIET_MS = 100;
const PROBE_MS = 2000;
const PROBES = 2;
/** How long a prompt may take to come back behind a command. */
const RETURN_MS = 3000;
/** The answers are looked for in the last characters only: a guest may print without an end. */
const ANSWER_REACH = 65_536;

/** The shell that a person has on the serial console, and the line that is half typed there. */
export class Prompt {
  readonly #console: Console;
  readonly #pattern: RegExp;

  constructor(console: Console, pattern: RegExp = ANY_PROMPT) {
    this.#console = console;
    this.#pattern = pattern;
  }

  /**
   * Makes sure that a shell waits for input, and removes what is already typed there. `patience` is how long an empty prompt
   * is waited for (default 0.1 s) before the console is asked.
   * @returns the input that restores it, once the prompt is back
   * @throws {SHELL_LOST} when something else has the console; nothing was carried out then
   */
  async take(options: WaitOptions): Promise<() => Promise<void>> {
    // A prompt may be on its way; a probe that comes before it stays visible.
    const empty = await this.#text(() => this.#isEmpty(), {
      signal: options.signal,
      patience: options.patience ?? QUIET_MS,
    }).then(
      () => true,
      (error: unknown) => {
        if (options.signal?.aborted) throw error;
        return false;
      },
    );
    if (empty) return async () => {};
    const lines = this.#console.lastLines(10);
    if (!(await this.#isBash(options))) {
      // Erases what the probe left on the line of the program that reads it.
      await this.#console.send(Buffer.from('x\x15'));
      throw new QmpilotError('SHELL_LOST', `no shell waits at a prompt on ${this.#console.channel.name}`, {
        evidence: { console: lines },
        hint: `a program may be running there, or nobody is logged in: the last line is ${JSON.stringify(lines.at(-1) ?? '')}`,
      });
    }
    // A letter, so that there is something to kill, to yank back, and to rub out.
    await this.#console.send(Buffer.from('\x05x\x15'));
    return async () => {
      await this.returned();
      await this.#console.send(Buffer.from('\x19\x7f'));
    };
  }

  /** Waits a moment for a prompt. */
  async returned(): Promise<void> {
    const from = this.#console.position;
    const seen = () => this.#isEmpty() || ANY_PROMPT.test(this.#answer(from));
    await this.#text(seen, { patience: RETURN_MS }).catch(() => {});
  }

  #isEmpty(): boolean {
    return this.#pattern.test(this.#console.lastLines(1)[0] ?? '');
  }

  /** Bash's line editor shows its version at C-x C-v, and leaves the line as it is. The kernel may print in between. */
  async #isBash(options: WaitOptions): Promise<boolean> {
    for (let tries = 0; tries < PROBES; tries += 1) {
      const from = this.#console.position;
      await this.#console.send(Buffer.from('\x18\x16'), { signal: options.signal });
      const seen = () => /GNU bash, version/.test(this.#answer(from));
      const answered = await this.#text(seen, { signal: options.signal, patience: PROBE_MS }).then(
        () => true,
        (error: unknown) => {
          if (options.signal?.aborted) throw error;
          return false;
        },
      );
      if (answered) return true;
      // C-v took the next key as a letter where a terminal's own line editing read it.
      await this.#console.send(Buffer.from('x\x15'), { signal: options.signal });
    }
    return false;
  }

  #answer(from: number): string {
    const { position } = this.#console;
    return withoutKernel(this.#console.textBetween(Math.max(from, position - ANSWER_REACH), position));
  }

  #text(seen: () => boolean, options: WaitOptions): Promise<void> {
    return awaitWithin<void>({ awaited: 'the prompt on the serial console' }, options, (resolve) => {
      const look = () => {
        if (seen()) resolve();
      };
      look();
      return this.#console.onBytes(look);
    });
  }
}

/**
 * Removes lines as the kernel prints them, wherever they begin. Line by line: an expression that spans them takes the square of
 * the time on a line that never ends.
 */
function withoutKernel(text: string): string {
  const lines = text.replaceAll('\r', '').split('\n');
  const last = lines.pop() ?? '';
  const others = lines.map((line) => {
    const at = line.search(/\[ *\d+\.\d+\]/);
    return at === -1 ? `${line}\n` : line.slice(0, at);
  });
  return others.join('') + last;
}
