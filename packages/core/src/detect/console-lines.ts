import { stripEscapes } from './kernel-log/lines/escapes.js';
import { LineSplitter } from './kernel-log/lines/line-splitter.js';
import { compileLiterals } from './kernel-log/lines/literal-matcher.js';

/** Cuts console bytes in lines as text without terminal sequences: those that hold one of `literals`, or all. */
export class ConsoleLines {
  readonly #splitter: LineSplitter;
  readonly #all: boolean;
  readonly #encoder = new TextEncoder();

  constructor(literals: readonly string[]) {
    this.#splitter = new LineSplitter(compileLiterals(literals));
    this.#all = literals.length === 0;
  }

  push(chunk: string | Uint8Array, take: (line: string) => void): void {
    const bytes = typeof chunk === 'string' ? this.#encoder.encode(chunk) : chunk;
    this.#splitter.push(
      bytes,
      () => this.#all,
      ({ raw }) => take(toText(raw)),
    );
  }
}

function toText(latin1: string): string {
  const plain = Buffer.from(stripEscapes(latin1), 'latin1').toString('utf8');
  // eslint-disable-next-line no-control-regex
  return plain.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '');
}
