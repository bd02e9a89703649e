import { parseDuration, parseRateGoal, parseShard, type Shard } from '@qmpilot/core';
import { InvalidArgumentError } from 'commander';

export function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text) && Number(text) >= 1) return Number(text);
  throw new InvalidArgumentError('it must be a whole number of 1 or more.');
}

export function seed(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('it must be a whole number of at most 15 digits.');
}

export function duration(text: string): number {
  try {
    const ms = parseDuration(text);
    if (ms > 0) return ms;
  } catch {
    // Said below in the words of the command line.
  }
  throw new InvalidArgumentError('it must be a duration such as 500ms, 90s, 3m or 1h.');
}

export function shard(text: string): Shard {
  try {
    return parseShard(text);
  } catch {
    throw new InvalidArgumentError('it must be of the form 2/5: the second of five.');
  }
}

/** Checked here, handed on as text. */
export function rateGoal(text: string): string {
  try {
    parseRateGoal(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError(`${error instanceof Error ? error.message : ''}; write it like "rate<0.01@95%".`);
  }
}
