/** Quotes `text` as one word for a POSIX shell; words that need no quotes stay as they are. */
export function shQuote(text: string): string {
  return /^[A-Za-z0-9_/.:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
