import { undrawn } from './text/undrawn.js';
import { visible } from './text/visible.js';

/** The console of a guest as lines of plain text: drawing sequences are removed, other control characters become \x escapes. */
export class GuestLog {
  #rest = '';
  readonly #decoder = new TextDecoder();

  /** Returns the lines that are complete by now, each with its newline. */
  push(chunk: Uint8Array): string {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > MAX_LINE) lines.push(this.#rest.slice(0, MAX_LINE));
    this.#rest = this.#rest.length > MAX_LINE ? '' : this.#rest;
    return lines.map((line) => `${plain(line)}\n`).join('');
  }

  end(): string {
    return this.#rest === '' ? '' : `${plain(this.#rest)}\n`;
  }
}

const MAX_LINE = 65_536;

function plain(line: string): string {
  return undrawn(line).replaceAll('\r', '').split('\t').map(visible).join('\t');
}
