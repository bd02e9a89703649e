import type { Console } from '@qmpilot/core';
import { undrawn } from '../render/text/undrawn.js';

const INTERVAL_MS = 250;
/** Longer than any line that a terminal shows. */
const MAX_LINE = 1000;

/** Reports the last line of a console, a few times a second, while a guest boots. */
export class ConsoleProgress {
  readonly #stop: () => void;
  readonly #timer: NodeJS.Timeout;
  readonly #decoder = new TextDecoder();
  #text = '';
  #reported = '';

  constructor(console: Pick<Console, 'onBytes'>, report: (line: string) => void) {
    this.#stop = console.onBytes((chunk) => {
      this.#text = `${this.#text}${this.#decoder.decode(chunk, { stream: true })}`.slice(-2 * MAX_LINE);
    });
    this.#timer = setInterval(() => {
      const line = lastLine(this.#text);
      if (line === undefined || line === this.#reported) return;
      this.#reported = line;
      report(line);
    }, INTERVAL_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#stop();
  }
}

/** The last line with text, without escape sequences. */
export function lastLine(text: string): string | undefined {
  return undrawn(text)
    .split(/[\r\n]+/)
    .findLast((line) => line.trim() !== '')
    ?.slice(0, MAX_LINE);
}
