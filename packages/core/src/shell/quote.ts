/**
 * Quotes any `text` without NUL as one word of bash source: `$'...'`, without any control
 * character, so that it fits on one line and passes a terminal unharmed.
 */
export function bashWord(text: string): string {
  if (/^[A-Za-z0-9_/.:@%+=,-]+$/.test(text)) return text;
  // Octal, always with three digits, so that a digit that follows is not read as a part of it.
  return `$'${text.replace(/[\u0000-\u001f\u007f'\\]/g, octal)}'`;
}

/**
 * The same for bytes, as the format of a `printf` of any POSIX shell, in single quotes: all bytes survive, NUL
 * too. Only letters, digits and a few harmless characters stand for themselves.
 */
export function printfFormat(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += PRINTF[byte] ?? '';
  return `'${text}'`;
}

function octal(character: string): string {
  return `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`;
}

const PRINTF = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return /[A-Za-z0-9 _/.:@+=,-]/.test(character) ? character : octal(character);
});
