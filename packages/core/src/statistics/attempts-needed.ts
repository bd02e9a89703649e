import { QmpilotError } from '../errors.js';
import type { Count } from './count.js';
import { fisherExact } from './fisher.js';

/** Larger numbers of attempts are not practical. */
const MOST = 10_000_000;

/**
 * How many clean attempts in a row show that a bug which used to fail at `rate` is gone: were it still there, so many would all be
 * clean with a probability of at most `1 - confidence`. The smallest n with (1 - rate)^n <= 1 - confidence.
 * @throws {USAGE} for a rate or confidence that is not between 0 and 1, or more than ten million attempts
 */
export function cleanAttemptsNeeded(rate: number, confidence: number): number {
  assertProbability(rate, 'the rate');
  assertProbability(confidence, 'the confidence');
  // The logarithms are right to the last digit only: the definition settles where they fall on a whole number.
  const wanted = 1 - confidence;
  const chance = (n: number) => Math.exp(n * Math.log1p(-rate));
  const close = (n: number) => chance(n) <= wanted * (1 + 1e-12);
  let n = Math.max(1, Math.floor(Math.log1p(-confidence) / Math.log1p(-rate)) - 1);
  while (n <= MOST && !close(n)) n += 1;
  if (n > MOST) throw tooMany();
  return n;
}

/** The probability that `attempts` are all clean although each fails at `rate`. */
export function chanceOfAllClean(rate: number, attempts: number): number {
  return Math.exp(attempts * Math.log1p(-rate));
}

/**
 * The same when the rate before is known from counting only: after how many clean attempts Fisher's exact test, two-sided as `report`
 * makes it, says at `confidence` that the rate has gone down.
 * @throws {USAGE} when nothing failed before: there is nothing to compare with
 */
export function cleanAttemptsNeededAfter(before: Count, confidence: number): number {
  assertProbability(confidence, 'the confidence');
  if (!(before.failures >= 1 && before.failures <= before.attempts)) {
    throw new QmpilotError('USAGE', 'nothing failed before: no number of clean attempts can show a difference', {
      hint: 'reproduce the failure at least once first',
    });
  }
  const test = (attempts: number) => fisherExact(before, { failures: 0, attempts });
  const shows = (attempts: number) => isShown(test(attempts).greater, confidence);
  let most = 1;
  while (!shows(most)) {
    most *= 2;
    if (most > MOST) throw tooMany();
  }
  let least = Math.floor(most / 2);
  while (most - least > 1) {
    const middle = Math.floor((least + most) / 2);
    if (shows(middle)) most = middle;
    else least = middle;
  }
  // The one-sided p falls with every attempt, the two-sided one is never less.
  while (!isShown(test(most).twoSided, confidence)) {
    most += 1;
    if (most > MOST) throw tooMany();
  }
  return most;
}

/** Returns whether a p-value is significant at `confidence`; tolerates the rounding of logarithms, so that 1 of 20 is 0.05. */
export function isShown(p: number, confidence: number): boolean {
  return p <= (1 - confidence) * (1 + 1e-9);
}

/** @throws {USAGE} */
export function assertProbability(value: number, name: string): void {
  if (value > 0 && value < 1) return;
  throw new QmpilotError('USAGE', `${name}: ${value} is not between 0 and 1`, { hint: 'write 0.03, or 3%' });
}

function tooMany(): QmpilotError {
  return new QmpilotError('USAGE', 'more than ten million attempts would be needed', {
    hint: 'find a trigger that fails more often first',
  });
}
