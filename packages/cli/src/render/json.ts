/** JSON as it may be shown on a terminal: C1 controls, DEL and text-direction marks as \u escapes, which are JSON still. */
export function renderJson(value: unknown, pretty: boolean): string {
  return (JSON.stringify(value, undefined, pretty ? 2 : undefined) ?? 'null').replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
