import { escapeJson } from '@qmpilot/core/internal';

/** JSON that is safe on a terminal: characters that it would not show become \u escapes, which are still JSON. */
export function renderJson(value: unknown, pretty: boolean): string {
  return escapeJson(JSON.stringify(value, undefined, pretty ? 2 : undefined) ?? 'null');
}

/** One line of `--json`: version, type, and the fields of `value`. */
export function jsonLine(type: string, value: object): string {
  return `${renderJson({ v: 1, type, ...value }, false)}\n`;
}
