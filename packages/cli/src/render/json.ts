/** JSON that is safe on a terminal: C1 controls, DEL and text-direction marks become \u escapes, which are still JSON. */
export function renderJson(value: unknown, pretty: boolean): string {
  return (JSON.stringify(value, undefined, pretty ? 2 : undefined) ?? 'null').replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** One line of `--json`: version, type, and the fields of `value`. */
export function jsonLine(type: string, value: object): string {
  return `${renderJson({ v: 1, type, ...value }, false)}\n`;
}
