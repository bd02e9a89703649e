import { QmpilotError } from '../errors.js';

/** What a terminal of the xterm family sends (xterm control sequences, "PC-Style Function Keys", normal mode). */
const PLAIN: Readonly<Record<string, string>> = {
  Enter: '\r', Return: '\r', Tab: '\t', Escape: '\x1b', Esc: '\x1b', Space: ' ', Backspace: '\x7f',
  F1: '\x1bOP', F2: '\x1bOQ', F3: '\x1bOR', F4: '\x1bOS',
};

/** Keys that take a modifier as a parameter: `CSI 1 ; m X`. */
const LETTER: Readonly<Record<string, string>> = { Up: 'A', Down: 'B', Right: 'C', Left: 'D', Home: 'H', End: 'F' };

/** The same as `CSI n ; m ~`. */
const TILDE: Readonly<Record<string, number>> = {
  Insert: 2, Delete: 3, PageUp: 5, PageDown: 6,
  F5: 15, F6: 17, F7: 18, F8: 19, F9: 20, F10: 21, F11: 23, F12: 24,
};

/**
 * The bytes of one key, named as tmux names it: `Enter`, `Up`, `F5`, `C-b` (control), `M-x` (meta, by an
 * escape before it), `S-Tab`, or a single character.
 * @throws {USAGE} for a name that is none of these
 */
export function keyBytes(key: string): string {
  const modifiers = /^(?:[CMS]-(?=.))*/su.exec(key)?.[0] ?? '';
  const name = key.slice(modifiers.length);
  const [control, meta, shift] = ['C-', 'M-', 'S-'].map((prefix) => modifiers.includes(prefix));
  const parameter = 1 + (shift ? 1 : 0) + (meta ? 2 : 0) + (control ? 4 : 0);
  const letter = LETTER[name];
  if (letter !== undefined) return parameter === 1 ? `\x1b[${letter}` : `\x1b[1;${parameter}${letter}`;
  const number = TILDE[name];
  if (number !== undefined) return parameter === 1 ? `\x1b[${number}~` : `\x1b[${number};${parameter}~`;
  if (name === 'Tab' && shift) return '\x1b[Z';

  const plain = PLAIN[name] ?? ([...name].length === 1 ? name : undefined);
  if (plain === undefined) throw unknownKey(key);
  const shifted = shift ? plain.toUpperCase() : plain;
  return (meta ? '\x1b' : '') + (control ? controlByte(shifted, key) : shifted);
}

function controlByte(character: string, key: string): string {
  if (character === ' ') return '\0';
  if (character === '?') return '\x7f';
  const code = character.toUpperCase().charCodeAt(0);
  if (character.length !== 1 || code < 0x40 || code > 0x5f) throw unknownKey(key);
  return String.fromCharCode(code & 0x1f);
}

function unknownKey(key: string): QmpilotError {
  return new QmpilotError('USAGE', `${JSON.stringify(key)} is not a key`, {
    hint: "name it as tmux does: 'Enter', 'Escape', 'Up', 'F5', 'C-b', 'M-x', 'S-Tab', or one character; type() sends text",
  });
}
