import { parseDuration } from '@qmpilot/core';
import { parseRateGoal, parseShard } from '@qmpilot/core/internal';
import type { Shard } from '@qmpilot/core/report';
import { InvalidArgumentError } from 'commander';

/** Adds the value of an option that may be given several times. */
export const repeated = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

export function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text) && Number(text) >= 1) return Number(text);
  throw new InvalidArgumentError('It must be a whole number of 1 or more.');
}

export function seed(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number of at most 15 digits.');
}

/** RAM in MiB, of `2G`, `512M` or a number of MiB. */
export function memorySize(text: string): number {
  const [, digits, unit = 'M'] = /^(\d{1,7})([MG])?(?:iB)?$/i.exec(text) ?? [];
  const mib = Number(digits) * (unit.toUpperCase() === 'G' ? 1024 : 1);
  if (mib >= 1) return mib;
  throw new InvalidArgumentError('It must be a size such as 2G, 512M, or a number of MiB.');
}

export function portNumber(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('It must be a port between 1 and 65535.');
}

/** Adds `KEY=VALUE` to the variables before it. */
export function environment(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be of the form KEY=VALUE.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

export function duration(text: string): number {
  try {
    const ms = parseDuration(text);
    if (ms > 0) return ms;
  } catch {
    // Reported below in terms of the command line.
  }
  throw new InvalidArgumentError('It must be a duration such as 500ms, 90s, 3m or 1h.');
}

/** A time between two checkpoints in ms, or `marks`: those of the scenario alone. */
export function checkpoints(text: string): number | 'marks' {
  return text === 'marks' ? text : duration(text);
}

/** A shard, or `auto`: that of the environment. */
export function shard(text: string): Shard | 'auto' {
  if (text === 'auto') return text;
  try {
    return parseShard(text);
  } catch {
    throw new InvalidArgumentError('It must be of the form 2/5, the second of five, or auto.');
  }
}

/** A probability, of `20%` or `0.2`. */
export function probability(text: string): number {
  const [, digits, percent] = /^(\d{1,9}(?:\.\d{1,9})?)(%)?$/.exec(text) ?? [];
  const value = Number(digits) / (percent === undefined ? 1 : 100);
  if (value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('It must be a probability such as 20% or 0.2.');
}

/** Checks the goal of `--until`; returns it as text. */
export function rateGoal(text: string): string {
  try {
    parseRateGoal(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError(`${error instanceof Error ? error.message : ''}; write it as "rate<0.01@95%".`);
  }
}
