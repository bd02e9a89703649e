import { QmpilotError } from '../../errors.js';

/** Milliseconds, or a number with a unit: `'500ms'`, `'90s'`, `'3m'`, `'1h'`. */
export type Duration = number | string;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000 };

/**
 * @returns milliseconds
 * @throws {USAGE} when the value is negative, not finite, or not of the form above
 */
export function parseDuration(value: Duration, name = 'duration'): number {
  if (typeof value === 'number') {
    if (Number.isFinite(value) && value >= 0) return value;
  } else if (typeof value === 'string') {
    const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h)?$/.exec(value.trim());
    const factor = match && UNIT_MS[match[2] ?? 'ms'];
    if (match && factor) return Number(match[1]) * factor;
  }
  const shown = typeof value === 'string' ? JSON.stringify(value) : String(value);
  throw new QmpilotError('USAGE', `${name}: ${shown} is not a duration`, {
    hint: "give milliseconds, or a number with a unit: '500ms', '90s', '3m', '1h'",
  });
}
