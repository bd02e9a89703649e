/** A command as a shell takes it, one option a line. */
export function commandLine(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`))
    .reduce(
      (text, word, index) => (index === 0 ? word : word.startsWith('-') ? `${text} \\\n  ${word}` : `${text} ${word}`),
      '',
    );
}
