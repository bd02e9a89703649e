/** The last part of a growing text, addressed by positions that count from its very beginning. */
export class TextWindow {
  readonly #limit: number;
  #text = '';
  #start = 0;

  /** @param limit characters that are kept at least; up to twice as many are held */
  constructor(limit: number) {
    this.#limit = limit;
  }

  append(piece: string): void {
    this.#text += piece;
    if (this.#text.length <= this.#limit * 2) return;
    const cut = this.#text.length - this.#limit;
    this.#text = this.#text.slice(cut);
    this.#start += cut;
  }

  /** Position of the first character that is still held. */
  get start(): number {
    return this.#start;
  }

  /** Position behind the last character. */
  get end(): number {
    return this.#start + this.#text.length;
  }

  /** Position of `text` at or behind `from`. */
  find(text: string, from: number): number | undefined {
    const index = this.#text.indexOf(text, Math.max(0, from - this.#start));
    return index < 0 ? undefined : index + this.#start;
  }

  /** First match that begins at or behind `from`; `expression` must have the flag `g`. */
  match(expression: RegExp, from: number): { readonly match: RegExpExecArray; readonly position: number } | undefined {
    expression.lastIndex = Math.max(0, from - this.#start);
    const match = expression.exec(this.#text);
    return match ? { match, position: match.index + this.#start } : undefined;
  }

  slice(from: number, to = this.end): string {
    return this.#text.slice(Math.max(0, from - this.#start), Math.max(0, to - this.#start));
  }

  /** The last `count` lines as they would stand on paper: what a carriage return overwrote is left out. */
  lastLines(count: number): string[] {
    let index = this.#text.length;
    for (let seen = 0; seen <= count && index > 0; seen += 1) index = this.#text.lastIndexOf('\n', index - 1);
    const lines = this.#text.slice(Math.max(0, index)).split('\n').map(overwrite);
    if (lines.at(-1) === '') lines.pop();
    return count <= 0 ? [] : lines.slice(-count);
  }
}

function overwrite(line: string): string {
  if (!line.includes('\r')) return line;
  return line.split('\r').findLast((part) => part !== '') ?? '';
}
