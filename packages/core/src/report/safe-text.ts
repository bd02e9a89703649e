/**
 * Text of the guest as it may stand in a document: terminal sequences are taken out, other controls, text-direction and
 * invisible marks spelled out. Escaping for HTML or Markdown comes on top.
 */
export function safeText(text: string): string {
  return withoutSequences(text).replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g,
    spelled,
  );
}

/** The same on one line. */
export function safeLine(text: string): string {
  return safeText(text).replace(/[\n\t]+/g, ' ');
}

/** Lone surrogates cannot be written as UTF-8. */
export function wellFormed(text: string): string {
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');
}

/** Control sequences and strings of ECMA-48, whole ones; a lone carriage return becomes a line's end. */
function withoutSequences(text: string): string {
  return wellFormed(text)
    .replace(/(?:\u001b\[|\u009b)[0-9;:<=>?]{0,64}[ -/]{0,8}[@-~]/g, '')
    .replace(/(?:\u001b[\]PX^_])[^\u0007\u001b\u009c]{0,4096}(?:\u0007|\u001b\\|\u009c)/g, '')
    .replace(/\u001b[ -/]{0,4}[0-~]/g, '')
    .replace(/\r\n?/g, '\n');
}

function spelled(character: string): string {
  const code = character.charCodeAt(0);
  return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}
