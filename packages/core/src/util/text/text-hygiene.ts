/**
 * Makes untrusted text safe to show. One character set for all outputs: controls (C0, DEL, C1), invisible characters, line
 * separators, and marks that change the direction of text or hide other characters.
 */
const UNSAFE = new RegExp(
  [
    // C0 without line feed and tab, DEL, C1
    '[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f]',
    // soft hyphen, Arabic letter mark, Mongolian vowel separator
    '[\\u00ad\\u061c\\u180e]',
    // zero-width characters, left-to-right and right-to-left marks
    '[\\u200b-\\u200f]',
    // line and paragraph separators, directional embeddings and overrides
    '[\\u2028-\\u202e]',
    // word joiner, invisible operators, directional isolates, deprecated format characters
    '[\\u2060-\\u206f]',
    // byte order mark, interlinear annotation
    '[\\ufeff\\ufff9-\\ufffb]',
    // tags
    '[\\u{e0000}-\\u{e007f}]',
  ].join('|'),
  'gu',
);

/**
 * Control sequences and control strings of ECMA-48, complete ones only. `util.stripVTControlCharacters` does not fit here:
 * it leaves the text of titles with spaces and of device control strings behind.
 */
const SEQUENCES = new RegExp(
  [
    // CSI parameters intermediates final
    '(?:\\u001b\\[|\\u009b)[0-9;:<=>?]{0,64}[ -/]{0,8}[@-~]',
    // OSC, DCS, SOS, PM, APC up to their terminator
    '(?:\\u001b[\\]PX^_])[^\\u0007\\u001b\\u009c]{0,4096}(?:\\u0007|\\u001b\\\\|\\u009c)',
    // other escape sequences
    '\\u001b[ -/]{0,4}[0-~]',
  ].join('|'),
  'g',
);

/** Removes complete terminal control sequences; the text may still hold other controls. */
export function stripEscapes(text: string): string {
  return text.replace(SEQUENCES, '');
}

/** Spells out unsafe characters as `\x1b` or `\u202e`; line feeds and tabs stay. */
export function escapeUnsafe(text: string): string {
  return text.toWellFormed().replace(UNSAFE, spelledOut);
}

/** The same on one line: line feeds and tabs are spelled out, too. For terminals, where nothing may be hidden. */
export function escapeLine(text: string): string {
  return escapeUnsafe(text).replace(/[\n\t]/g, spelledOut);
}

/** Replaces each unsafe character, so that the text keeps its cells on a screen. */
export function replaceUnsafe(text: string, replacement = '\ufffd'): string {
  return text.toWellFormed().replace(UNSAFE, replacement);
}

/** Removes control sequences and spells out what else is unsafe; a lone carriage return becomes a line feed. For documents. */
export function safeText(text: string): string {
  return escapeUnsafe(stripEscapes(text.toWellFormed()).replace(/\r\n?/g, '\n'));
}

/** The same on one line: line feeds and tabs become spaces. */
export function safeLine(text: string): string {
  return safeText(text).replace(/[\n\t]+/g, ' ');
}

/** Escapes unsafe characters in JSON text; the result is the same JSON value. */
export function escapeJson(json: string): string {
  return json.replace(UNSAFE, (character) =>
    [...character].flatMap((one) => one.split('').map((unit) => `\\u${hex(unit.charCodeAt(0), 4)}`)).join(''),
  );
}

function spelledOut(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code <= 0xff) return `\\x${hex(code, 2)}`;
  return code <= 0xffff ? `\\u${hex(code, 4)}` : `\\u{${hex(code, 1)}}`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}
