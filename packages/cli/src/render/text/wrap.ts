import stringWidth from 'string-width';
import { wrapParagraphs, wrapWords } from './wrap-words.js';

/** Wraps the paragraphs of a text to a width in cells. Lines that begin with a blank (examples, lists) stay as they are. */
export function wrapText(text: string, width: number): string {
  return wrapParagraphs(text, width, stringWidth);
}

/**
 * Wraps each line of a text for a terminal; what follows is indented by two cells more than the line.
 * @param width undefined for a pipe or file, where nothing is wrapped
 */
export function wrapLines(text: string, width = Number.POSITIVE_INFINITY): string {
  return text
    .split('\n')
    .map((line) => wrapLine(line, width, `${/^ */.exec(line)?.[0] ?? ''}  `))
    .join('\n');
}

/** Wraps one line of text; the lines after the first begin with `indent`. */
export function wrapLine(line: string, width: number, indent: string): string {
  return wrapWords(line.split(' '), { width, indent, widthOf: stringWidth });
}
