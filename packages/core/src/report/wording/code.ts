import { safeLine, safeText } from '../../util/text/text-hygiene.js';

/** Returns a code block whose fence is longer than any in the text. */
export function fence(text: string): string {
  const safe = safeText(text).trimEnd();
  const marks = '`'.repeat(Math.max(3, longestRun(safe) + 1));
  return `${marks}text\n${safe}\n${marks}`;
}

/** Returns a code span: mentions, links and markup in it have no effect. */
export function span(text: string): string {
  const safe = safeLine(text).trim();
  if (safe === '') return '(nothing)';
  const marks = '`'.repeat(longestRun(safe) + 1);
  const space = safe.startsWith('`') || safe.endsWith('`') ? ' ' : '';
  return `${marks}${space}${safe}${space}${marks}`;
}

/** Returns a code span for a table cell. */
export const cell = (text: string) => span(text).replaceAll('|', String.raw`\|`);

/** Returns plain text; text with markup or mentions becomes a code span. */
export function escaped(text: string): string {
  return /^[\w .,:()+-]*$/.test(text) ? text : span(text);
}

function longestRun(text: string): number {
  return Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
}
