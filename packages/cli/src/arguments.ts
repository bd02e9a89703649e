import { parseDuration } from '@qmpilot/core';
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
