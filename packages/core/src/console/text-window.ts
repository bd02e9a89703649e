/** So much at the end is looked at before all of the text is. */
const TAIL = 65_536;
/** Characters before the start of a search that a look-behind, `^` and `\b` can see. */
const LOOK_BEHIND = 1024;

interface Part {
  readonly text: string;
  /** Position of its first character. */
  readonly start: number;
}

/**
 * The last part of a growing text, addressed by positions that count from its beginning. Held in pieces as it arrives, and joined
 * only as far as it is read: a flood that nobody reads is not copied.
 */
export class TextWindow {
  readonly #limit: number;
  #pieces: string[] = [];
  #start = 0;
  #length = 0;

  /** @param limit characters that are kept at least; up to twice as many are held */
  constructor(limit: number) {
    this.#limit = limit;
  }

  append(piece: string): void {
    if (piece === '') return;
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#length <= this.#limit * 2) return;
    let dropped = 0;
    let count = 0;
    for (const { length } of this.#pieces) {
      if (this.#length - dropped - length < this.#limit) break;
      dropped += length;
      count += 1;
    }
    this.#pieces.splice(0, count);
    this.#forget(dropped);
    if (this.#length <= this.#limit * 2) return;
    const [first = ''] = this.#pieces;
    const cut = this.#length - this.#limit;
    this.#pieces[0] = first.slice(cut);
    this.#forget(cut);
  }

  /** Position of the first character that is still held. */
  get start(): number {
    return this.#start;
  }

  /** Position behind the last character. */
  get end(): number {
    return this.#start + this.#length;
  }

  /** Position of `text` at or behind `from`. */
  find(text: string, from: number): number | undefined {
    const part = this.#from(from);
    const index = part.text.indexOf(text, Math.max(0, from - part.start));
    return index < 0 ? undefined : index + part.start;
  }

  /** First match that begins at or behind `from`; `expression` must have the flag `g`. */
  match(expression: RegExp, from: number): { readonly match: RegExpExecArray; readonly position: number } | undefined {
    const part = this.#from(from - LOOK_BEHIND);
    expression.lastIndex = Math.max(0, from - part.start);
    const match = expression.exec(part.text);
    return match ? { match, position: match.index + part.start } : undefined;
  }

  slice(from: number, to = this.end): string {
    const part = this.#from(from);
    return part.text.slice(Math.max(0, from - part.start), Math.max(0, to - part.start));
  }

  /** The last `count` lines; text that a carriage return overwrote is left out. */
  lastLines(count: number): string[] {
    if (count <= 0) return [];
    const tail = linesAtEnd(this.#from(this.end - TAIL).text, count);
    const found = tail.cut || this.#pieces.length === 1 ? tail : linesAtEnd(this.#from(this.#start).text, count);
    const lines = found.text.split('\n').map(overwrite);
    if (lines.at(-1) === '') lines.pop();
    return lines.slice(-count);
  }

  /** The text from at least `from` on, in one piece; it is kept so. */
  #from(from: number): Part {
    let first = this.#pieces.length;
    let start = this.end;
    while (first > 0 && start > from) {
      first -= 1;
      start -= this.#pieces[first]?.length ?? 0;
    }
    const text = this.#pieces.slice(first).join('');
    this.#pieces.splice(first, this.#pieces.length - first, ...(text === '' ? [] : [text]));
    return { text, start };
  }

  #forget(length: number): void {
    this.#start += length;
    this.#length -= length;
  }
}

/** The text from the line end before the last `count` lines on; `cut` says whether that was found. */
function linesAtEnd(text: string, count: number): { readonly text: string; readonly cut: boolean } {
  let index = text.length;
  for (let seen = 0; seen <= count && index > 0; seen += 1) index = text.lastIndexOf('\n', index - 1);
  return { text: text.slice(Math.max(0, index)), cut: index > 0 };
}

function overwrite(line: string): string {
  if (!line.includes('\r')) return line;
  return line.split('\r').findLast((part) => part !== '') ?? '';
}
