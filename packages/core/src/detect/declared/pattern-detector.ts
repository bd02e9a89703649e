import { escapeLine, stripEscapes } from '../../util/text/text-hygiene.js';
import type { Finding, Severity } from '../finding.js';

/** A line on the serial console that is a finding. */
export interface ConsolePattern {
  /** Kind of the finding: a word of your own, such as `data-loss`. */
  readonly kind: string;
  /** Is matched against each line, without terminal sequences. */
  readonly pattern: RegExp;
  readonly severity: Severity;
  /** Default: the text that matched. */
  readonly title?: string | undefined;
}

/** The rest of a longer line is not matched. */
const MAX_LINE = 4096;
/** Findings of one pattern: a guest that floods its console does not fill the memory. */
const MAX_FINDINGS = 100;

/** Searches the lines of a console for patterns. Pure: bytes in, findings out; `at` is in ms on the caller's clock. */
export class PatternDetector {
  readonly #patterns: readonly (ConsolePattern & { count: number })[];
  readonly #decoder = new TextDecoder();
  #line = '';

  constructor(patterns: readonly ConsolePattern[]) {
    this.#patterns = patterns.map((one) => ({
      ...one,
      // With g or y a RegExp remembers where it matched last.
      pattern: new RegExp(one.pattern.source, one.pattern.flags.replace(/[gy]/g, '')),
      count: 0,
    }));
  }

  push(chunk: Uint8Array, at: number): Finding[] {
    const [first = '', ...rest] = this.#decoder.decode(chunk, { stream: true }).split(/[\r\n]/);
    const lines = [this.#line + first, ...rest];
    this.#line = (lines.pop() ?? '').slice(0, MAX_LINE);
    return lines.flatMap((line) => this.#match(line.slice(0, MAX_LINE), at));
  }

  /** Matches the last line, which has no end yet. */
  end(at: number): Finding[] {
    const line = this.#line;
    this.#line = '';
    return this.#match(line, at);
  }

  #match(raw: string, at: number): Finding[] {
    if (raw === '') return [];
    const line = stripEscapes(raw);
    return this.#patterns.flatMap((one) => {
      const match = one.count < MAX_FINDINGS ? one.pattern.exec(line) : null;
      if (match === null) return [];
      one.count += 1;
      const { kind, severity, title = escapeLine(match[0].trim() || line) } = one;
      return [{ kind, severity, title, signature: one.title ?? kind, at, evidence: [raw] }];
    });
  }
}
