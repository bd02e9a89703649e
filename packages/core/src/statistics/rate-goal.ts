import { QmpilotError } from '../errors.js';

/** A claim about the failure rate, and the confidence to show it with. */
export interface RateGoal {
  readonly relation: '<' | '>';
  /** Between 0 and 1. */
  readonly rate: number;
  /** Between 0 and 1: 0.95. */
  readonly confidence: number;
}

const GOAL = /^\s*rate\s*([<>])\s*([^\s@<>]+)\s*(?:@\s*(\S+)\s*)?$/;

/**
 * Reads `rate<0.01@95%`: `<` or `>`, a rate, and a confidence (95 % when left out). Numbers as 0.01 or 1%.
 * @throws {USAGE}
 */
export function parseRateGoal(text: string): RateGoal {
  const [, relation, rate, confidence] = GOAL.exec(text) ?? [];
  if ((relation !== '<' && relation !== '>') || rate === undefined) {
    throw new QmpilotError('USAGE', `invalid goal ${JSON.stringify(text)}`, { hint: 'write it like rate<0.01@95%' });
  }
  return {
    relation,
    rate: parseShare(rate, 'the rate'),
    confidence: confidence === undefined ? 0.95 : parseShare(confidence, 'the confidence'),
  };
}

/**
 * Reads a share between 0 and 1, written as 0.03 or 3%.
 * @throws {USAGE} when it is none, or not between the two
 */
export function parseShare(text: string, name = 'the share'): number {
  const [, digits, percent] = /^(\d{0,9}\.?\d{1,15}(?:e-\d{1,2})?)\s*(%?)$/i.exec(text.trim()) ?? [];
  const value =
    digits === undefined ? NaN : percent === '%' ? Number((Number(digits) / 100).toPrecision(15)) : Number(digits);
  if (value > 0 && value < 1) return value;
  throw new QmpilotError('USAGE', `${name}: ${JSON.stringify(text)} is not between 0 and 1`, {
    hint: 'write 0.03, or 3%',
  });
}

/** The goal as `parseRateGoal` reads it: `rate<0.01@95%`. */
export function formatRateGoal({ relation, rate, confidence }: RateGoal): string {
  return `rate${relation}${rate}@${Number((confidence * 100).toPrecision(12))}%`;
}
