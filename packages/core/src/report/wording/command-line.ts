import { shQuote } from '../../util/text/sh-quote.js';

/** A command as a shell takes it, one option a line. */
export function commandLine(words: readonly string[]): string {
  return words
    .map(shQuote)
    .reduce(
      (text, word, index) => (index === 0 ? word : word.startsWith('-') ? `${text} \\\n  ${word}` : `${text} ${word}`),
      '',
    );
}
