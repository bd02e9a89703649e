import { QmpilotError } from '../errors.js';

/** Bytes that a terminal of the xterm family sends (xterm control sequences, "PC-Style Function Keys", normal mode). */
const PLAIN: Readonly<Record<string, string>> = {
  Enter: '\r',
  Return: '\r',
  Tab: '\t',
  Escape: '\x1b',
  Esc: '\x1b',
  Space: ' ',
  Backspace: '\x7f',
  BSpace: '\x7f',
  BTab: '\x1b[Z',
  F1: '\x1bOP',
  F2: '\x1bOQ',
  F3: '\x1bOR',
  F4: '\x1bOS',
};

/** Keys that take a modifier as a parameter: `CSI 1 ; m X`. */
const LETTER: Readonly<Record<string, string>> = { Up: 'A', Down: 'B', Right: 'C', Left: 'D', Home: 'H', End: 'F' };
/** F1 to F4 with a modifier: `CSI 1 ; m X`; without one they are SS3, in PLAIN. */
const FUNCTION: Readonly<Record<string, string>> = { F1: 'P', F2: 'Q', F3: 'R', F4: 'S' };

/** The same as `CSI n ; m ~`. */
const TILDE: Readonly<Record<string, number>> = {
  Insert: 2,
  Delete: 3,
  PageUp: 5,
  PageDown: 6,
  IC: 2,
  DC: 3,
  PgUp: 5,
  PPage: 5,
  PgDn: 6,
  NPage: 6,
  F5: 15,
  F6: 17,
  F7: 18,
  F8: 19,
  F9: 20,
  F10: 21,
  F11: 23,
  F12: 24,
};

export interface KeyOptions {
  /** The program asked for the other codes of the cursor keys (DECCKM). */
  readonly applicationCursor?: boolean;
}

/**
 * The bytes of one key, named as tmux names it: `Enter`, `Up`, `F5`, `C-b` (control), `M-x` (meta, by an
 * escape before it), `S-Tab`, or a single character.
 * @throws {USAGE} for a name that is none of these
 */
export function keyBytes(key: string, options: KeyOptions = {}): string {
  const modifiers = /^(?:[CMS]-(?=.))*/su.exec(key)?.[0] ?? '';
  const name = key.slice(modifiers.length);
  const [control, meta, shift] = ['C-', 'M-', 'S-'].map((prefix) => modifiers.includes(prefix));
  const parameter = 1 + (shift ? 1 : 0) + (meta ? 2 : 0) + (control ? 4 : 0);
  const letter = LETTER[name];
  if (letter !== undefined && parameter === 1) return `\x1b${options.applicationCursor ? 'O' : '['}${letter}`;
  const modified = letter ?? (parameter === 1 ? undefined : FUNCTION[name]);
  if (modified !== undefined) return `\x1b[1;${parameter}${modified}`;
  const number = TILDE[name];
  if (number !== undefined) return parameter === 1 ? `\x1b[${number}~` : `\x1b[${number};${parameter}~`;
  if (name === 'Tab' && shift) return '\x1b[Z';

  const plain = PLAIN[name] ?? ([...name].length === 1 ? name : undefined);
  if (plain === undefined) throw unknownKey(key);
  const shifted = shift ? plain.toUpperCase() : plain;
  return (meta ? '\x1b' : '') + (control ? controlByte(shifted, key) : shifted);
}

/** Control with other characters than letters, as in xterm; the digits come from the VT220. */
const CONTROL: Readonly<Record<string, string>> = {
  ' ': '\0',
  '?': '\x7f',
  '/': '\x1f',
  '\x7f': '\b',
  2: '\0',
  3: '\x1b',
  4: '\x1c',
  5: '\x1d',
  6: '\x1e',
  7: '\x1f',
  8: '\x7f',
};

function controlByte(character: string, key: string): string {
  const known = CONTROL[character];
  if (known !== undefined) return known;
  const code = character.toUpperCase().charCodeAt(0);
  if (character.length !== 1 || code < 0x40 || code > 0x5f) throw unknownKey(key);
  return String.fromCharCode(code & 0x1f);
}

function unknownKey(key: string): QmpilotError {
  return new QmpilotError('USAGE', `${JSON.stringify(key)} is not a key`, {
    hint: "name it as tmux does: 'Enter', 'Escape', 'Up', 'F5', 'C-b', 'M-x', 'S-Tab', or one character; type() sends text",
  });
}
