/** The number of cells that a text takes in a terminal. */
type WidthOf = (text: string) => number;

/** Wraps the paragraphs of a text. Lines that begin with a blank (examples, lists) stay as they are. */
export function wrapParagraphs(text: string, width: number, widthOf: WidthOf): string {
  return text
    .split(/\n{2,}/)
    .map((paragraph) => {
      const lines = paragraph.split('\n');
      return lines.some((line) => line.startsWith(' '))
        ? paragraph
        : wrapWords(lines.join(' ').split(' '), { width, indent: '', widthOf });
    })
    .join('\n\n');
}

/** Joins words to lines of at most `width` cells; the lines after the first begin with `indent`. */
export function wrapWords(
  words: readonly string[],
  { width, indent, widthOf }: { readonly width: number; readonly indent: string; readonly widthOf: WidthOf },
): string {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && widthOf(last) + 1 + widthOf(word) <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(last === undefined ? word : `${indent}${word}`);
  }
  return lines.join('\n');
}
