/** A regular expression's alternatives, one a line in the source. */
export function union(alternatives: readonly string[]): string {
  return `(?:${alternatives.join('|')})`;
}
