import cliTruncate from 'cli-truncate';
import stringWidth from 'string-width';

/** Cuts a styled text to a width in cells; a wide character that does not fit is left out. */
export function truncate(text: string, width: number, mark = '…'): string {
  for (let columns = width; columns > 0; columns -= 1) {
    const cut = cliTruncate(text, columns, { truncationCharacter: mark });
    if (stringWidth(cut) <= width) return cut;
  }
  return '';
}
