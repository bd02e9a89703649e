import { recordLines } from './journal-record.js';
import type { RecordFields } from './journal-record.js';

/** Turns the text of records into lines of a console; cut anywhere. */
export interface RecordReader {
  push(text: string): string;
  end(): string;
}

/** A form of log whose records are more than a line with a prefix. */
export interface RecordForm {
  readonly name: string;
  /** Matches a line of each record. */
  readonly record: RegExp;
  readonly create: () => RecordReader;
}

/** Longer records are cut or passed over. */
const MAX_RECORD = 1 << 20;

export const RECORD_FORMS: readonly RecordForm[] = [
  // journalctl -o json, json-pretty, json-seq, json-sse; dmesg -J; docker's json-file
  {
    name: 'json',
    record: /^(?:data: |\u001e)?\s*(?:\{\s*"\w+"\s*:|"(?:MESSAGE|msg|dmesg)"\s*:)/,
    create: () => new JsonRecords(),
  },
  // journalctl -o export
  { name: 'export', record: /^(?:__CURSOR=|MESSAGE=)/, create: () => new FieldRecords(/^$/) },
  // journalctl -o verbose: `Tue 2025-01-21 04:41:44.123456 CET [s=...;i=...]`
  {
    name: 'verbose',
    record: /^.{8,64} \[s=[0-9a-f]{8,32};i=[0-9a-f]+;/,
    create: () => new FieldRecords(/^\S.{8,64} \[s=[0-9a-f]{8,32};/),
  },
];

class JsonRecords implements RecordReader {
  #text = '';
  #at = 0;
  /** Where the objects begin that are open, the outermost first. */
  #starts: number[] = [];
  #quoted = false;

  push(text: string): string {
    this.#text += text;
    let out = '';
    for (; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at];
      if (this.#quoted) {
        if (character === '\\') {
          // What is escaped may be in the next chunk.
          if (this.#at + 1 >= this.#text.length) break;
          this.#at++;
        } else if (character === '"' || character === '\n') this.#quoted = false;
      } else if (character === '"') this.#quoted = this.#starts.length > 0;
      else if (character === '{') this.#starts.push(this.#at);
      else if (character === '}') {
        const start = this.#starts.pop();
        if (start !== undefined) out += linesOf(this.#text.slice(start, this.#at + 1));
      }
    }
    this.#forget();
    return out;
  }

  end(): string {
    return '';
  }

  #forget(): void {
    while (this.#starts[0] !== undefined && this.#at - this.#starts[0] > MAX_RECORD) this.#starts.shift();
    const from = this.#starts[0] ?? this.#at;
    this.#text = this.#text.slice(from);
    this.#at -= from;
    this.#starts = this.#starts.map((start) => start - from);
  }
}

function linesOf(json: string): string {
  try {
    const value: unknown = JSON.parse(json);
    return isFields(value) ? recordLines(value) : '';
  } catch {
    return '';
  }
}

function isFields(value: unknown): value is RecordFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

class FieldRecords implements RecordReader {
  readonly #separator: RegExp;
  #rest = '';
  #fields: Record<string, string> = {};
  #field: string | undefined;
  #binary = false;

  constructor(separator: RegExp) {
    this.#separator = separator;
  }

  push(text: string): string {
    const lines = (this.#rest + text).split('\n');
    this.#rest = (lines.pop() ?? '').slice(-MAX_RECORD);
    return lines.map((line) => this.#take(line)).join('');
  }

  end(): string {
    return this.push('\n') + this.#finish();
  }

  #take(line: string): string {
    if (this.#binary && this.#field !== undefined) {
      // `NAME`, then the length in eight bytes and the value.
      this.#fields[this.#field] = line.slice(8);
      this.#binary = false;
      return '';
    }
    if (this.#separator.test(line)) return this.#finish();
    const field = /^ {0,4}([A-Z_][A-Z0-9_]{0,63})(=?)(.*)$/s.exec(line);
    if (field !== null && (field[2] === '=' || field[3] === '')) {
      this.#field = field[1] ?? '';
      this.#binary = field[2] === '';
      if (!this.#binary) this.#fields[this.#field] = field[3] ?? '';
    } else if (this.#field !== undefined) this.#fields[this.#field] = `${this.#fields[this.#field]}\n${line.trim()}`;
    return '';
  }

  #finish(): string {
    const lines = recordLines(this.#fields);
    this.#fields = {};
    this.#field = undefined;
    return lines;
  }
}
