const ESC = '\u001b';

/** Removes terminal sequences (ECMA-48: CSI, OSC and the two-byte ones) in one pass. */
export function stripEscapes(text: string): string {
  let out = '';
  let from = 0;
  for (let at = text.indexOf(ESC); at !== -1; at = text.indexOf(ESC, from)) {
    out += text.slice(from, at);
    from = escapeEnd(text, at);
  }
  return out + text.slice(from);
}

function escapeEnd(text: string, at: number): number {
  const kind = text.charAt(at + 1);
  if (kind === '[') {
    let i = at + 2;
    while (i < text.length && !isBetween(text.charCodeAt(i), 0x40, 0x7e)) {
      if (!isBetween(text.charCodeAt(i), 0x20, 0x3f)) return i;
      i++;
    }
    return Math.min(i + 1, text.length);
  }
  if (kind === ']' || kind === 'P' || kind === '_' || kind === '^') {
    for (let i = at + 2; i < text.length; i++) {
      if (text.charCodeAt(i) === 7) return i + 1;
      if (text.charAt(i) === ESC) return text.charAt(i + 1) === '\\' ? i + 2 : i;
    }
    // Never closed within the line: what follows may be the kernel's, so only the opening goes.
    return at + 2;
  }
  let i = at + 1;
  while (i < text.length && isBetween(text.charCodeAt(i), 0x20, 0x2f)) i++;
  return Math.min(i + 1, text.length);
}

function isBetween(code: number, low: number, high: number): boolean {
  return code >= low && code <= high;
}
