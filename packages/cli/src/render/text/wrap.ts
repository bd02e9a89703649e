import stringWidth from 'string-width';

/** Wraps the paragraphs of a text to a width in cells. Lines that begin with a blank (examples, lists) stay as they are. */
export function wrapText(text: string, width: number): string {
  return text
    .split(/\n{2,}/)
    .map((paragraph) => {
      const lines = paragraph.split('\n');
      return lines.some((line) => line.startsWith(' ')) ? paragraph : wrapWords(lines.join(' ').split(' '), width);
    })
    .join('\n\n');
}

function wrapWords(words: readonly string[], width: number): string {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && stringWidth(last) + 1 + stringWidth(word) <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join('\n');
}
