/** Control sequences and strings that draw: complete ones, and strings whose end is missing. */
const DRAWING = new RegExp(
  [
    // CSI
    '\\u001b\\[[0-?]*[ -/]*[@-~]',
    // OSC, DCS, SOS, PM, APC
    '\\u001b[\\]PX^_][^\\u0007\\u001b]*(?:\\u0007|\\u001b\\\\)?',
    // other escape sequences
    '\\u001b[ -/]*[0-~]',
  ].join('|'),
  'g',
);

/** The text of a terminal's output, without what moves the cursor, sets colors and titles. */
export function undrawn(text: string): string {
  return text.replace(DRAWING, '');
}
