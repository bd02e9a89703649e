import { RECORD_FORMS } from './record-forms.js';
import type { RecordReader } from './record-forms.js';
import { findEncoding } from './text-encoding.js';
import type { TextEncoding } from './text-encoding.js';

/**
 * Turns a log of any form into lines of a console, which a kernel log detector reads: UTF-16, padding, and the records of
 * `journalctl -o json|export|verbose`, `dmesg -J` and container logs. The form is found by the first 64 KiB. Everything else,
 * each line with its own prefix, passes through as it is.
 */
export interface LogDecoder {
  /** Takes the next bytes, cut anywhere; returns what can be read so far. */
  push(chunk: Uint8Array): Uint8Array;
  /** Stops waiting for more to find the form. */
  flush(): Uint8Array;
  /** The log is over. */
  end(): Uint8Array;
  /** Undefined until enough is there to tell. `binary` is not a log, and passes through. */
  readonly encoding: TextEncoding | undefined;
  /** `json`, `export` or `verbose` for records, `lines` for anything else. */
  readonly form: string | undefined;
}

const SAMPLE_BYTES = 65_536;
/** Share of the sample's lines that begin a record; those of a verbose journal are far apart. */
const RECORD_SHARE = 1 / 60;
const NOTHING = new Uint8Array();

/** A decoder for one log. */
export function createLogDecoder(): LogDecoder {
  return new Decoder();
}

class Decoder implements LogDecoder {
  encoding: TextEncoding | undefined;
  form: string | undefined;
  #sample: Uint8Array[] = [];
  #sampled = 0;
  #text: InstanceType<typeof TextDecoder> | undefined;
  #records: RecordReader | undefined;

  push(chunk: Uint8Array): Uint8Array {
    if (this.form !== undefined) return this.#decode(chunk);
    this.#sample.push(chunk);
    this.#sampled += chunk.length;
    return this.#sampled < SAMPLE_BYTES ? NOTHING : this.flush();
  }

  flush(): Uint8Array {
    if (this.form !== undefined || this.#sampled === 0) return NOTHING;
    const sample = this.#sample.length === 1 ? this.#sample[0] : Buffer.concat(this.#sample);
    this.#sample = [];
    this.#choose(sample ?? NOTHING);
    return this.#decode(sample ?? NOTHING);
  }

  end(): Uint8Array {
    const rest = this.flush();
    if (this.#text === undefined) return rest;
    const text = this.#text.decode();
    const last = this.#records === undefined ? text : this.#records.push(text) + this.#records.end();
    return Buffer.concat([rest, Buffer.from(last)]);
  }

  #choose(sample: Uint8Array): void {
    this.encoding = findEncoding(sample);
    const wide = this.encoding === 'utf-16le' || this.encoding === 'utf-16be';
    const head = new TextDecoder(wide ? this.encoding : 'utf-8').decode(sample.subarray(0, SAMPLE_BYTES));
    const lines = head.split(/\r?\n/).filter((line) => line.trim() !== '');
    const form = RECORD_FORMS.find(
      ({ record }) => lines.filter((line) => record.test(line)).length > lines.length * RECORD_SHARE,
    );
    this.form = form?.name ?? 'lines';
    this.#records = form?.create();
    if (wide || form !== undefined) this.#text = new TextDecoder(wide ? this.encoding : 'utf-8');
  }

  #decode(chunk: Uint8Array): Uint8Array {
    if (this.#text === undefined) return chunk;
    const text = this.#text.decode(chunk, { stream: true });
    return Buffer.from(this.#records === undefined ? text : this.#records.push(text));
  }
}
